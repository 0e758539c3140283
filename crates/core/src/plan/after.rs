//! What a failure means for the rest of the call: the same target later, another one, or the end.

use core::time::Duration;

use super::types::{Cause, Handle, Role, Throttle, Why};
use super::{Plan, Seek, effect};
use crate::classify::Verdict;
use crate::failure::Next;
use crate::rules::backoff;
use crate::time::Moment;

impl<H: Handle> Plan<H> {
    /// Decides after a failed attempt with no other attempt live.
    pub(super) fn after_failure(&mut self, index: usize, role: Role, now: Moment) {
        self.seek = Seek::Choose;
        let Some((_, verdict)) = self.last.clone() else { return };
        if !self.facts.replayable {
            self.fail(Why::NotReplayable, verdict.wait);
            return;
        }
        if !verdict.retryable {
            self.after_final(index, &verdict);
            return;
        }
        let throttled = effect::throttled(verdict.failure.kind).is_some();
        if throttled && self.policy.pacer.enabled {
            self.after_throttle(index, role, &verdict, now);
        } else {
            self.after_transient(index, role, &verdict, now);
        }
    }

    /// The target will not answer this call; perhaps another one will.
    fn after_final(&mut self, index: usize, verdict: &Verdict) {
        match verdict.failure.next {
            Next::Nobody => self.fail(Why::NotRetryable, None),
            Next::OtherTarget | Next::SameTarget { .. } => {
                self.tracks[index].gone = true;
            }
            Next::LargerWindow => {
                let window = self.tracks[index].candidate.window;
                for (other, track) in self.tracks.iter_mut().enumerate() {
                    let larger = match (track.candidate.window, window) {
                        (Some(theirs), Some(ours)) => theirs > ours,
                        (None, _) => true,
                        // How large the refusing window is, is unknown: a known one may be larger.
                        (Some(_), None) => true,
                    };
                    track.gone |= other == index || !larger;
                }
            }
        }
    }

    /// A rate limit: waited out at the head of the pacer's queue, or left for another target. It
    /// is no attempt; deadline and `wait_max` are its bounds.
    fn after_throttle(&mut self, index: usize, role: Role, verdict: &Verdict, now: Moment) {
        if role != Role::Probe {
            self.counted = self.counted.saturating_sub(1);
            self.tracks[index].tries = self.tracks[index].tries.saturating_sub(1);
        }
        let wait = verdict.wait.unwrap_or(Duration::ZERO);
        if self.too_long(index, wait, now) {
            return;
        }
        let waited = self.tracks[index].note_refusal(now);
        // However short each wait is, together they are one wait for the same limit.
        let max = self.policy.retry.wait_max;
        let together = waited.saturating_add(wait);
        if together > max {
            self.give_up(index, Why::WaitTooLong { wait: together, max }, verdict.wait);
            return;
        }
        let refusals = self.tracks[index].refusals;
        // A target that names no time gets as many tries as one that fails; one that names times
        // again and again has been waited for long enough when they add up.
        let stays = verdict.wait.is_none() && refusals >= self.policy.retry.attempts_max;
        let long = waited.saturating_add(wait) > self.policy.fallback.wait_max;
        if (stays || long) && self.other_ready(index, now) {
            let rest = backoff::throttled(&self.policy.retry, refusals, &mut self.dice);
            self.tracks[index].not_before = now + verdict.wait.unwrap_or(rest);
            self.tracks[index].rest_cause = Cause::Hint;
            self.tracks[index].throttle = Throttle::Left;
            self.avoid = Some(index);
            return;
        }
        // The pacer holds everybody back for as long as the provider asked, this call first.
        self.tracks[index].throttle = Throttle::WaitedOut;
        self.prefer = Some(index);
        self.note_wait(Cause::Limit, now);
    }

    /// A failure that may pass: backoff, never shorter than the provider's hint. A refusal by a rate
    /// limit is one where no pacer waits it out.
    fn after_transient(&mut self, index: usize, role: Role, verdict: &Verdict, now: Moment) {
        let hint = verdict.wait.unwrap_or(Duration::ZERO);
        if self.too_long(index, hint, now) {
            return;
        }
        if role == Role::Probe && effect::blames_target(verdict.failure.kind) {
            // The open circuit is wait enough, but for a target that named a time.
            self.tracks[index].not_before = now + hint;
            self.tracks[index].rest_cause = Cause::Hint;
            return;
        }
        if role == Role::Probe {
            // It says nothing of the target's health, so the circuit makes nobody wait: unless it
            // counted after all, the next one would be sent at once, and the next.
            self.counted += 1;
            self.tracks[index].tries += 1;
        }
        self.tracks[index].failures += 1;
        let failures = self.tracks[index].failures;
        let backoff = match effect::throttled(verdict.failure.kind) {
            Some(_) => backoff::throttled(&self.policy.retry, failures, &mut self.dice),
            None => backoff::transient(&self.policy.retry, failures, &mut self.dice),
        };
        let wait = backoff.max(hint);
        let track = &mut self.tracks[index];
        track.not_before = now + wait;
        let cause = if hint > backoff { Cause::Hint } else { Cause::Backoff };
        track.rest_cause = cause;
        let used_up = track.tries >= self.policy.retry.attempts_max;
        let hint_is_long = hint > self.policy.fallback.wait_max;
        if effect::moves_on(verdict.failure.kind) || used_up || hint_is_long {
            self.avoid = Some(index);
        } else {
            self.prefer = Some(index);
        }
        self.note_wait(cause, now);
    }

    /// A hint beyond what may be waited: the target is left, and with no other the call ends with
    /// the date.
    fn too_long(&mut self, index: usize, wait: Duration, now: Moment) -> bool {
        let max = self.policy.retry.wait_max.min(self.limit().since(now));
        if wait <= max {
            return false;
        }
        self.give_up(index, Why::WaitTooLong { wait, max }, Some(wait));
        true
    }

    /// Leaves a target for good; with no other the call ends.
    fn give_up(&mut self, index: usize, why: Why, retry_after: Option<Duration>) {
        self.tracks[index].gone = true;
        if !self.others_alive(index) {
            self.fail(why, retry_after);
        }
    }
}

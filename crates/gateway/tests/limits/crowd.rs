//! Crowds of callers against one limit: how many are admitted is what the burst rule gives, no more and
//! no fewer.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_core::store::Change::To;
use mainstay_core::store::LimitPatch;
use tokio::time::Instant;

use super::support::provider::{Provider, completion};
use super::support::{CHAT, Front, front, until};
use super::{CHATS, gated, organization, rpm};

/// Callers of a crowd.
const CROWD: usize = 64;

#[test]
fn of_sixty_four_callers_at_once_as_many_tokens_are_reserved_as_the_burst_has() {
    let (provider, open) = gated();
    let front = front(provider.addr, "");
    // A token is given back every 120 ms, one call's worth in more than twelve seconds.
    let tokens = LimitPatch { tpm: To(500), ..LimitPatch::default() };
    front.limit(&organization(), None, &tokens);
    let asking = |tokens: u64| CHAT.replacen('{', &format!("{{\"max_tokens\":{tokens},"), 1);
    let message = front.post(CHATS, &asking(900)).refused(429, "request_too_large");
    let asked = message.split("Requested ").nth(1).expect("a number");
    let asked: u64 = asked.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    let (body, cost) = (asking(100), asked - 800);
    let (barrier, refused) = (Barrier::new(CROWD), AtomicU64::new(0));
    let began = Instant::now();
    let mut held = 0;
    std::thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                barrier.wait();
                let reply = front.post(CHATS, &body);
                if reply.status != 200 {
                    reply.refused(429, "rate_limit_tokens");
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        // Those who are admitted wait for their answer; nothing of theirs has come back.
        until("all have asked", || {
            held = front.gateway.admitted();
            held + refused.load(Ordering::SeqCst) == CROWD as u64
        });
        open.store(1, Ordering::SeqCst);
    });
    let passed = u64::try_from(began.elapsed().as_millis()).unwrap();
    let (least, most) = (500 / cost, (500 + passed / 120 + 1) / cost);
    assert!((least..=most).contains(&held), "{held} of {least} to {most} at {cost} each");
    assert_eq!(provider.seen().len() as u64, held, "what is refused is not sent");
}

/// When one of the crowd began to ask and was first told, and the same of the last time.
struct Times {
    asked_first: Instant,
    told_first: Instant,
    asked_last: Instant,
    told_last: Instant,
}

/// Asks again and again for so long, and on until there is no room: how often he was admitted.
fn never_rests(front: &Front, start: &Barrier, long: Duration) -> (u64, Times) {
    let mut caller = front.connect();
    let request = front.post_bytes(CHATS, "", CHAT);
    start.wait();
    let (mut admitted, mut told_first) = (0, None);
    let asked_first = Instant::now();
    loop {
        let asked_last = Instant::now();
        caller.send(&request);
        let reply = caller.answer();
        let told_last = Instant::now();
        let told_first = *told_first.get_or_insert(told_last);
        if reply.status == 200 {
            admitted += 1;
            continue;
        }
        reply.refused(429, "rate_limit_requests");
        if asked_last - asked_first > long {
            return (admitted, Times { asked_first, told_first, asked_last, told_last });
        }
    }
}

#[test]
fn a_crowd_that_never_rests_gets_the_burst_and_then_the_rate_exactly() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    // 20 at once, then 20 in each second.
    let patch = LimitPatch { burst: To(Duration::from_secs(1)), ..rpm(1_200) };
    front.limit(&organization(), None, &patch);
    let start = Barrier::new(CROWD);
    let told: Vec<(u64, Times)> = std::thread::scope(|scope| {
        let one = || never_rests(&front, &start, Duration::from_secs(3));
        let callers: Vec<_> = (0..CROWD).map(|_| scope.spawn(one)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let admitted: u64 = told.iter().map(|(admitted, _)| admitted).sum();
    // The bucket was full when the first was admitted, and had no room for one when the last was
    // refused. Both happened between asking and being told.
    let rate = |time: Duration| u64::try_from(time.as_nanos() * 20 / 1_000_000_000).unwrap();
    let first = |of: fn(&Times) -> Instant| told.iter().map(|(_, times)| of(times)).min().unwrap();
    let last = |of: fn(&Times) -> Instant| told.iter().map(|(_, times)| of(times)).max().unwrap();
    let least = 20 + rate(last(|times| times.asked_last) - first(|times| times.told_first));
    let most = 20 + rate(last(|times| times.told_last) - first(|times| times.asked_first));
    assert!((least..=most).contains(&admitted), "{admitted} of {least} to {most}");
    assert!(most <= least + 20, "{least} to {most}: a wider range would show little");
    assert_eq!(provider.seen().len() as u64, admitted, "what is refused is not sent");
}

//! The second pass over the input, in a thread of its own: lines that are not done become jobs, as
//! fast as they are taken and no faster, within a bound on memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::request::peek;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::ids::{Ids, id_of};
use super::job::{Job, Part};
use super::line;
use super::pack::Packer;
use super::source::{Lines, unreadable};
use crate::exit::Exit;
use crate::trouble::Trouble;

/// Jobs read ahead.
const AHEAD_MAX: usize = 64;
/// Bodies of all jobs, and what is expected of packed answers, in KiB.
const ROOM_KIB: u32 = 64 << 10;
/// What the answer to one packed input may take, in KiB: 1,536 numbers as text.
const PACKED_KIB: usize = 16;

/// Jobs as they are read.
#[derive(Debug)]
pub(crate) struct Feed {
    jobs: Option<Receiver<Result<Job, Trouble>>>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Begins to read. Call it inside the runtime.
    pub(crate) fn start(path: PathBuf, ids: Arc<Ids>, pack: bool) -> Result<Feed, Trouble> {
        let (to, jobs) = channel(AHEAD_MAX);
        let mut reading = Reading {
            ids,
            packer: pack.then(Packer::default),
            room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            runtime: Handle::current(),
            to,
        };
        let work = move || reading.all(path);
        let thread = std::thread::Builder::new().name("feed".to_owned()).spawn(work);
        let thread = thread.map_err(|error| {
            let fix = "raise the limit on threads";
            Trouble::new(Exit::Surroundings, "could not start a thread", error.to_string(), fix)
        })?;
        Ok(Feed { jobs: Some(jobs), thread: Some(thread) })
    }

    /// The next job; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Result<Job, Trouble>> {
        self.jobs.as_mut()?.recv().await
    }

    /// Takes no more.
    pub(crate) fn stop(&mut self) {
        self.jobs = None;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.jobs = None;
        // Without a receiver it ends at its next job, unless it waits for room: jobs that are gone
        // have given theirs back.
        drop(self.thread.take());
    }
}

struct Reading {
    ids: Arc<Ids>,
    packer: Option<Packer>,
    room: Arc<Semaphore>,
    runtime: Handle,
    to: Sender<Result<Job, Trouble>>,
}

/// Nobody takes jobs any more.
struct Left;

impl Reading {
    fn all(&mut self, path: PathBuf) {
        let Err(trouble) = self.read(path) else { return };
        if let Some(trouble) = trouble {
            let _ = self.to.blocking_send(Err(trouble));
        }
    }

    /// The error is `None` when nobody takes jobs any more.
    fn read(&mut self, path: PathBuf) -> Result<(), Option<Trouble>> {
        let mut lines = Lines::open(&path).map_err(Some)?;
        while let Some((number, bytes)) =
            lines.next().map_err(|error| Some(unreadable(&path, &error)))?
        {
            let line =
                line::read(bytes, number).map_err(|why| Some(changed(&path, number, &why)))?;
            let id = id_of(&line.custom_id);
            if self.ids.is_done(&id) {
                continue;
            }
            let body = Bytes::copy_from_slice(bytes.get(line.body).unwrap_or_default());
            let part = Part { custom_id: line.custom_id, id, packed: None };
            let jobs = match &mut self.packer {
                Some(packer) if line.endpoint == Endpoint::Embeddings => {
                    packer.take(&line.path, body, line.model, part)
                }
                Some(_) | None => vec![single(line.path, body, line.model, line.endpoint, part)],
            };
            self.send(jobs).map_err(|Left| None)?;
        }
        let rest = self.packer.as_mut().map_or_else(Vec::new, Packer::end);
        self.send(rest).map_err(|Left| None)
    }

    fn send(&mut self, jobs: Vec<Job>) -> Result<(), Left> {
        for mut job in jobs {
            let answers = if job.parts.len() > 1 { job.parts.len() * PACKED_KIB } else { 0 };
            let size = (job.body.len() >> 10) + 1 + answers;
            let size = u32::try_from(size).unwrap_or(ROOM_KIB).min(ROOM_KIB);
            let room = self.runtime.block_on(Arc::clone(&self.room).acquire_many_owned(size));
            job.room = room.ok();
            self.to.blocking_send(Ok(job)).map_err(|_| Left)?;
        }
        Ok(())
    }
}

fn single(path: String, body: Bytes, model: Option<String>, endpoint: Endpoint, part: Part) -> Job {
    let output = peek(&body, endpoint).ok().and_then(|look| {
        look.max_output().map(|most| most.saturating_mul(look.n.unwrap_or(1).max(1)))
    });
    let mut job = Job::single(path, body, model, part);
    job.tokens.1 = output;
    job
}

/// The first pass has read this line, so it was another one then.
fn changed(path: &std::path::Path, number: u64, why: &str) -> Trouble {
    let what = format!("`{}` was changed while it was read", path.display());
    let fix = "leave the input alone while it is run; the same command goes on";
    Trouble::new(Exit::Surroundings, what, format!("line {number}: {why}"), fix)
}

//! Moves bytes from the follower through the pipeline, and windows to the scorer and back. The daemon and `replay` drive the same
//! engine.

use std::collections::BTreeSet;
use std::io;

use thiserror::Error;

use crate::daemon::waits::Waits;
use crate::ingest::{Follower, Mode, Notice, Read, Wait};
use crate::limits::CHUNK_BYTES_MAX;
use crate::model::scorer::Scorer;
use crate::model::thread::{Batch, Scored, ScorerThread, SendError};
use crate::pipeline::Pipeline;
use crate::pipeline::event::{Chunk, StreamId, WallTime};
use crate::pipeline::profile::Profile;
use crate::pipeline::session::Case;
use crate::pipeline::swap::Swapped;
use crate::pipeline::verdict::Verdict;

/// The follower, the pipeline and the scorer, driven by one thread.
pub struct Engine {
    /// Where bytes come from.
    pub follower: Follower,
    /// What becomes of them.
    pub pipeline: Pipeline,
    scorer: ScorerThread,
    /// What takes its place as soon as all windows are scored; nothing is read until then.
    next: Option<Next>,
    mode: Mode,
    known: BTreeSet<StreamId>,
    unread: BTreeSet<StreamId>,
    /// Logs that go on in a file that is read when the one before it has ended, or has been found again. What is of later log time waits
    /// with them.
    waiting: BTreeSet<StreamId>,
    waits: Waits,
    /// Batches with the scorer.
    batches_out: usize,
    /// What was read last, and where it stands.
    buffer: Vec<u8>,
    last: Option<Read>,
}

/// A model that is to take over.
struct Next {
    scorer: ScorerThread,
    profile: Profile,
    /// Sessions that have ended for it.
    ended: u64,
}

/// Why a model does not take over.
#[derive(Debug, Error)]
pub enum SwapError {
    /// It asks for something that this program does not have.
    #[error("the model asks for mask {0:?}, which this version does not have; train it again with this program, or upgrade")]
    Mask(String),
    /// The system gives no thread.
    #[error("failed to start a thread for the model: {0}")]
    Thread(#[from] io::Error),
}

/// Is told what the scorer did and what came of it.
pub trait Observer {
    /// A batch came back.
    fn scored(&mut self, scored: &Scored);
    /// A case was decided.
    fn judged(&mut self, case: &Case, verdict: &Verdict);
}

/// The scorer's thread has ended, which only a panic in the runtime can do.
#[derive(Debug, Error)]
#[error("the scorer has ended unexpectedly; see the messages before this one, and report it")]
pub struct ScorerEnded;

impl Engine {
    /// An engine over these parts. `mode` is the follower's.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(follower: Follower, pipeline: Pipeline, scorer: Scorer, mode: Mode) -> io::Result<Self> {
        Ok(Self::with_thread(follower, pipeline, ScorerThread::spawn(scorer)?, mode))
    }

    /// The same with a scorer that has its thread already.
    #[must_use]
    pub fn with_thread(follower: Follower, pipeline: Pipeline, scorer: ScorerThread, mode: Mode) -> Self {
        Self {
            follower,
            pipeline,
            scorer,
            next: None,
            mode,
            known: BTreeSet::new(),
            unread: BTreeSet::new(),
            waiting: BTreeSet::new(),
            waits: Waits::default(),
            batches_out: 0,
            buffer: Vec::with_capacity(CHUNK_BYTES_MAX),
            last: None,
        }
    }

    /// Looks for new, renamed and grown files. `first` says that this is the first scan ever: logs that are there already are joined
    /// midway, those that appear later are seen from their beginning.
    pub fn scan(&mut self, now: WallTime, first: bool) -> Vec<Notice> {
        self.pipeline.set_present(now);
        let notices = self.follower.scan(now);
        let fresh = self.follower.streams().filter(|status| !self.known.contains(&status.id));
        let fresh: Vec<(StreamId, String)> = fresh.map(|status| (status.id, status.name.display().to_string())).collect();
        for (stream, name) in fresh {
            self.pipeline.open_stream(stream, &name, first);
            self.known.insert(stream);
            self.unread.insert(stream);
        }
        self.forget_streams();
        self.note_unread();
        notices
    }

    /// Reads one chunk of the log that is furthest behind in log time. False when nothing can be read before the next scan, the pipeline
    /// is full, or a model is to take over.
    pub fn read(&mut self, now: WallTime) -> bool {
        if self.pipeline.is_full() || self.is_swapping() {
            return false;
        }
        let Some(stream) = self.next_stream() else { return false };
        self.last = self.follower.read(stream, &mut self.buffer);
        match self.last {
            Some(read) => {
                let bytes = &self.buffer[..read.bytes];
                self.pipeline.handle_chunk(Chunk { stream, source: read.source, offset: read.offset, bytes }, now);
                if read.end_of_source {
                    self.pipeline.handle_end_of_source(stream, read.source);
                    self.waits.end(stream);
                }
                if !self.follower.is_ready(stream) {
                    self.pause(stream);
                }
            }
            None => self.pause(stream),
        }
        true
    }

    /// What the last [`Engine::read`] took, and its bytes; `None` when there was nothing.
    #[must_use]
    pub fn last_read(&self) -> Option<(Read, &[u8])> {
        self.last.map(|read| (read, &self.buffer[..read.bytes]))
    }

    /// Lets another model take over: from now on nothing is read until [`Engine::poll_swap`] says that it has. One that was to take over
    /// before and has not yet gives way.
    ///
    /// # Errors
    /// When the pipeline cannot go on with it, or the system gives no thread. Then all is as it was.
    pub fn begin_swap(&mut self, scorer: Scorer) -> Result<(), SwapError> {
        let profile = scorer.contract().profile.clone();
        Pipeline::can_take(&profile).map_err(SwapError::Mask)?;
        let ended = self.next.as_ref().map_or(0, |next| next.ended);
        self.next = Some(Next { scorer: ScorerThread::spawn(scorer)?, profile, ended });
        Ok(())
    }

    /// Whether a model is to take over. Time must not be handed to the pipeline meanwhile, or it might never be done with its windows.
    #[must_use]
    pub fn is_swapping(&self) -> bool {
        self.next.is_some()
    }

    /// Goes on with the swap once all windows have their scores; [`Engine::exchange`] sees to that. What came of it when it is done.
    pub fn poll_swap(&mut self) -> Option<Swapped> {
        if self.is_scoring() {
            return None;
        }
        let next = self.next.as_mut()?;
        let ended = self.pipeline.end_foreign(&next.profile);
        next.ended += ended;
        if ended > 0 && self.pipeline.has_windows() {
            return None;
        }
        let next = self.next.take()?;
        let swapped = self.pipeline.swap(next.profile).expect("the masks were found to be known");
        self.scorer = next.scorer;
        Some(Swapped { sessions_ended: swapped.sessions_ended + next.ended, ..swapped })
    }

    /// Whether there is something to read before the next scan, as far as the last one could tell.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        self.next_stream().is_some()
    }

    /// Gives the scorer what it can take, and applies what it has done. With `wait`, waits for one batch if any is out.
    ///
    /// # Errors
    /// When the scorer has ended.
    pub fn exchange(&mut self, wait: bool, observer: &mut impl Observer) -> Result<(), ScorerEnded> {
        self.send_batches()?;
        if wait && self.batches_out > 0 {
            let scored = self.scorer.receive().ok_or(ScorerEnded)?;
            self.apply(scored, observer);
        }
        while let Ok(scored) = self.scorer.receiver().try_recv() {
            self.apply(scored, observer);
        }
        self.send_batches()
    }

    /// Whether windows are with the scorer or wait for it.
    #[must_use]
    pub fn is_scoring(&self) -> bool {
        self.batches_out > 0 || self.pipeline.has_windows()
    }

    /// Where scored batches come in: something to wait for.
    #[must_use]
    pub fn scored(&self) -> &crossbeam_channel::Receiver<Scored> {
        self.scorer.receiver()
    }

    /// Applies a batch that was taken from [`Engine::scored`].
    pub fn apply(&mut self, scored: Scored, observer: &mut impl Observer) {
        self.batches_out -= 1;
        observer.scored(&scored);
        self.pipeline.handle_scores(scored.scores.into_iter().map(Result::ok), |case, verdict| observer.judged(case, verdict));
    }

    fn send_batches(&mut self) -> Result<(), ScorerEnded> {
        while self.batches_out < BATCHES_OUT_MAX
            && let Some(windows) = self.pipeline.poll_batch()
        {
            match self.scorer.send(Batch { windows }) {
                Ok(()) => self.batches_out += 1,
                Err(SendError::Ended(_)) => return Err(ScorerEnded),
                Err(SendError::Full(_)) => unreachable!("fewer batches are out than the scorer takes"),
            }
        }
        Ok(())
    }

    /// A log whose files are all gone holds nothing back any more.
    fn forget_streams(&mut self) {
        let there: BTreeSet<StreamId> = self.follower.streams().map(|status| status.id).collect();
        for stream in self.known.difference(&there).copied().collect::<Vec<_>>() {
            self.known.remove(&stream);
            self.unread.remove(&stream);
            self.waiting.remove(&stream);
            self.waits.end(stream);
            self.pipeline.close_stream(stream);
        }
    }

    /// The log that is furthest behind in log time, unless one that is further behind waits.
    fn next_stream(&self) -> Option<StreamId> {
        let time = |stream: &StreamId| self.pipeline.stream_time(*stream);
        let behind = self.unread.iter().min_by_key(|stream| (time(stream), **stream))?;
        self.waiting.iter().all(|waiting| time(behind) <= time(waiting)).then_some(*behind)
    }

    fn note_unread(&mut self) {
        let before: BTreeSet<StreamId> = self.unread.union(&self.waiting).copied().collect();
        self.unread = self.follower.ready().collect();
        let waits = self.known.iter().filter_map(|stream| Some((*stream, self.follower.waits_for(*stream)?)));
        let waits: Vec<(StreamId, Wait)> = waits.collect();
        self.waiting =
            waits.into_iter().filter(|(stream, wait)| self.waits.count(*stream, *wait)).map(|(stream, _)| stream).collect();
        let behind: BTreeSet<StreamId> = self.unread.union(&self.waiting).copied().collect();
        for stream in before.difference(&behind) {
            self.finish(*stream);
        }
        for stream in behind.difference(&before) {
            self.pipeline.handle_behind(*stream);
        }
        self.follower.share_read_ahead(self.pipeline.read_ahead_bytes());
    }

    /// Nothing of a log can be read before the next scan: it waits, or is read to its end.
    fn pause(&mut self, stream: StreamId) {
        self.unread.remove(&stream);
        match self.follower.waits_for(stream) {
            Some(wait) if self.waits.count(stream, wait) => drop(self.waiting.insert(stream)),
            _ => self.finish(stream),
        }
    }

    fn finish(&mut self, stream: StreamId) {
        match self.mode {
            Mode::Follow => self.pipeline.handle_caught_up(stream),
            Mode::Once => self.pipeline.close_stream(stream),
        }
    }
}

/// One at work and one waiting: enough to keep the scorer busy, few enough to be drained quickly.
const BATCHES_OUT_MAX: usize = 2;
const _: () = assert!(BATCHES_OUT_MAX <= crate::limits::SCORER_BATCHES_MAX);

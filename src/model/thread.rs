//! Gives a scorer a thread of its own, so that the pipeline never waits for an inference.

use std::io;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use thiserror::Error;

use crate::limits::SCORER_BATCHES_MAX;
use crate::model::scorer::{ScoreError, Scorer};
use crate::pipeline::session::{Score, Window};

/// Windows to be scored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Any number of them; [`crate::limits::BATCH_WINDOWS_MAX`] are one inference.
    pub windows: Vec<Window>,
}

/// What came of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// One a window, in their order.
    pub scores: Vec<Result<Score, ScoreError>>,
    /// Wall time that scoring took, waiting excluded.
    pub inference_seconds: f64,
    /// Windows in the batch.
    pub batch_windows: usize,
    /// Those of them that needed no inference, since their scores were remembered or asked for twice.
    pub remembered_windows: u64,
    /// Windows in the scorer's memory now.
    pub memory_windows: usize,
}

/// Why a batch was not taken.
#[derive(Debug, Error)]
pub enum SendError {
    /// [`SCORER_BATCHES_MAX`] wait already: receive one, then try again.
    #[error("scorer has {SCORER_BATCHES_MAX} batches waiting, receive before sending more")]
    Full(Batch),
    /// The thread is gone.
    #[error("scorer thread has ended")]
    Ended(Batch),
}

/// Handle to the thread. Both channels are bounded; neither call of one thread can wait for another of the same, since sending never
/// waits. Dropping the handle ends the thread after the batch at hand and waits for that; batches that wait are lost.
pub struct ScorerThread {
    /// Dropped first: the thread ends when it has no more to do.
    batches: Option<Sender<Batch>>,
    /// Dropped second: the thread ends when nobody listens.
    scored: Option<Receiver<Scored>>,
    thread: Option<JoinHandle<()>>,
}

impl ScorerThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(scorer: Scorer) -> io::Result<Self> {
        let (batches, batches_taken) = bounded(SCORER_BATCHES_MAX);
        let (scored_given, scored) = bounded(SCORER_BATCHES_MAX);
        let work = move || run(scorer, &batches_taken, &scored_given);
        let thread = std::thread::Builder::new().name("scorer".to_owned()).spawn(work)?;
        Ok(Self { batches: Some(batches), scored: Some(scored), thread: Some(thread) })
    }

    /// A scorer that somebody else is: what is to be scored comes out of the first channel, and its scores go into the second one.
    #[must_use]
    pub fn elsewhere() -> (Self, Receiver<Batch>, Sender<Scored>) {
        let (batches, batches_taken) = bounded(SCORER_BATCHES_MAX);
        let (scored_given, scored) = bounded(SCORER_BATCHES_MAX);
        (Self { batches: Some(batches), scored: Some(scored), thread: None }, batches_taken, scored_given)
    }

    /// Hands over a batch without waiting.
    ///
    /// # Errors
    /// The batch comes back when too many wait, or the thread has ended.
    pub fn send(&self, batch: Batch) -> Result<(), SendError> {
        let Some(batches) = &self.batches else {
            return Err(SendError::Ended(batch));
        };
        batches.try_send(batch).map_err(|error| match error {
            TrySendError::Full(batch) => SendError::Full(batch),
            TrySendError::Disconnected(batch) => SendError::Ended(batch),
        })
    }

    /// Waits for the next batch to be scored; they come in the order in which they were sent. `None` when the thread has ended.
    #[must_use]
    pub fn receive(&self) -> Option<Scored> {
        self.scored.as_ref()?.recv().ok()
    }

    /// The channel that [`ScorerThread::receive`] reads, to be waited for together with others.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<Scored> {
        self.scored.as_ref().expect("only drop takes the receiver")
    }
}

impl Drop for ScorerThread {
    fn drop(&mut self) {
        self.batches = None;
        self.scored = None;
        // A panic over there was reported by the panic hook; there is nothing left to do about it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(mut scorer: Scorer, batches: &Receiver<Batch>, scored: &Sender<Scored>) {
    for batch in batches {
        if scored.send(score(&mut scorer, &batch)).is_err() {
            return;
        }
    }
}

fn score(scorer: &mut Scorer, batch: &Batch) -> Scored {
    let (begun, remembered_before) = (Instant::now(), scorer.remembered_total());
    let scores = scorer.score(&batch.windows);
    Scored {
        scores,
        inference_seconds: begun.elapsed().as_secs_f64(),
        batch_windows: batch.windows.len(),
        remembered_windows: scorer.remembered_total() - remembered_before,
        memory_windows: scorer.remembered_windows(),
    }
}

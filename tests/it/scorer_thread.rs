//! Batches come back in order, none is lost while somebody listens, and nobody waits for ever.

use hdfs_vigil::limits::SCORER_BATCHES_MAX;
use hdfs_vigil::model::thread::{Batch, ScorerThread, SendError};
use hdfs_vigil::pipeline::session::Window;

use crate::synthetic_model::{SyntheticModel, library_missing, random_window, window};

#[test]
fn batches_come_back_in_order() {
    if library_missing() {
        return;
    }
    let model = SyntheticModel::large();
    let (thread, mut scorer) = (ScorerThread::spawn(model.scorer()).unwrap(), model.scorer());
    for number in 1..=20 {
        let batch = batch(number);
        thread.send(batch.clone()).unwrap();
        let scored = thread.receive().unwrap();
        assert_eq!(
            (scored.batch_windows, &scored.scores),
            (batch.windows.len(), &scorer.score(&batch.windows))
        );
        assert!(scored.inference_seconds > 0.0);
    }
}

#[test]
fn a_sender_that_does_not_receive_is_told_and_loses_nothing() {
    if library_missing() {
        return;
    }
    let thread = ScorerThread::spawn(SyntheticModel::large().scorer()).unwrap();
    let mut sent = 0;
    let refused = loop {
        match thread.send(batch(sent + 1)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SendError::Full(refused) if refused == batch(sent + 1)));
    // Those that wait, those that are done, and the one at hand.
    assert!(
        (SCORER_BATCHES_MAX as u32..=2 * SCORER_BATCHES_MAX as u32 + 1).contains(&sent),
        "{sent}"
    );
    for number in 1..=sent {
        assert_eq!(thread.receive().unwrap().batch_windows, batch(number).windows.len());
    }
    thread.send(batch(1)).unwrap();
}

#[test]
fn dropping_the_handle_ends_the_thread_though_nobody_received() {
    if library_missing() {
        return;
    }
    let thread = ScorerThread::spawn(SyntheticModel::large().scorer()).unwrap();
    while thread.send(batch(3)).is_ok() {}
    drop(thread);
}

#[test]
fn what_is_remembered_is_counted_by_batch() {
    if library_missing() {
        return;
    }
    let thread = ScorerThread::spawn(SyntheticModel::large().scorer()).unwrap();
    let windows = vec![window(&[2, 6]), window(&[2, 7]), window(&[2, 6])];
    for expected in [1, 3] {
        thread
            .send(Batch {
                windows: windows.clone(),
            })
            .unwrap();
        assert_eq!(thread.receive().unwrap().remembered_windows, expected);
    }
}

fn batch(number: u32) -> Batch {
    let windows: Vec<Window> = (0..number)
        .map(|index| random_window(number + index, 1 + index as usize, 40))
        .collect();
    Batch { windows }
}

//! Trains the model of an experiment on a quiet log, with the code of `learn`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};

use crate::learn::logs::{How, gather};
use crate::learn::{CorpusError, Learned, Options, Progress, learn};
use crate::model::onnx;
use crate::pipeline::profile::DrainSettings;

use super::super::learn::progress::Bar;

/// Learns from `quiet`, and writes the model to `model`.
///
/// # Errors
/// When the log cannot be read or is too short, the file cannot be written, or it is stopped.
pub(super) fn train(quiet: &Path, model: &Path, seed: u64, stop: &Arc<AtomicBool>) -> anyhow::Result<Learned> {
    eprintln!("training on {}", quiet.display());
    let options = Options { name: "quiet".to_owned(), seed, stop: Arc::clone(stop), ..Options::default() };
    let how = How { quiet_millis: options.quiet_millis, drain: DrainSettings::hdfs(), each_host: false };
    let corpus = gather(&[PathBuf::from(quiet)], &how, &mut |_| !stop.load(Ordering::Relaxed))?;
    let bar = Bar::epochs(options.epochs.into());
    let learned = learn(&corpus, &options, &mut |Progress { epoch, epochs, loss }| {
        bar.set(epoch.into(), format!("epoch {epoch} of {epochs}, loss {loss:.4} nats per token"));
    })?;
    if stop.load(Ordering::Relaxed) {
        bail!(CorpusError::Stopped);
    }
    let bytes = onnx::write(&learned.contract, &learned.weights)?;
    fs::write(model, bytes).with_context(|| format!("write {}", model.display()))?;
    Ok(learned)
}

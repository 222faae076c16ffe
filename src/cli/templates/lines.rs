//! Reads logs line by line, one log after the other, each with its rotated files first.

use std::path::PathBuf;

use anyhow::bail;

use crate::daemon::clock;
use crate::ingest::{Follower, Mode, Notice, Saved, Settings, StartAt};
use crate::learn::logs::pattern;
use crate::limits::RECORD_BYTES_MAX;
use crate::pipeline::event::StreamId;

/// What is done with each line, without its line break, and with the end (`None`) of each file.
pub type Handle<'a> = &'a mut dyn FnMut(Option<&[u8]>) -> anyhow::Result<()>;

/// Hands out the lines of logs: files with their rotated ones, plain or compressed, or directories of them. Of a line that is longer than
/// [`RECORD_BYTES_MAX`] the rest is left out.
///
/// # Errors
/// When a log cannot be read, there is none, or `handle` fails.
pub fn read(logs: &[PathBuf], handle: Handle<'_>) -> anyhow::Result<()> {
    let patterns = logs.iter().map(|path| pattern(path)).collect();
    let settings = Settings { patterns, exclude: Vec::new(), start_at: StartAt::Beginning, mode: Mode::Once, blockless: true };
    // They are read from their beginning, whatever time it says.
    let mut follower = Follower::new(&settings, Saved::default(), Box::new(|_| None))?;
    loop {
        let notices = follower.scan(clock::now());
        let passed_over = |notice: &&Notice| matches!(notice, Notice::Failed { .. } | Notice::Refused { .. });
        if let Some(trouble) = notices.iter().filter(passed_over).find(|notice| notice.is_trouble()) {
            bail!("{trouble}");
        }
        let mut unread: Vec<StreamId> = follower.ready().collect();
        if unread.is_empty() {
            break;
        }
        unread.sort();
        for stream in unread {
            read_stream(&mut follower, stream, handle)?;
        }
    }
    if follower.streams().next().is_none() {
        bail!("no log found; name a log, or a directory of logs");
    }
    Ok(())
}

fn read_stream(follower: &mut Follower, stream: StreamId, handle: Handle<'_>) -> anyhow::Result<()> {
    let (mut buffer, mut partial) = (Vec::new(), Vec::new());
    while let Some(read) = follower.read(stream, &mut buffer) {
        let mut rest = &buffer[..read.bytes];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if partial.is_empty() {
                handle(Some(&rest[..end.min(RECORD_BYTES_MAX)]))?;
            } else {
                extend(&mut partial, &rest[..end]);
                handle(Some(&partial))?;
                partial.clear();
            }
            rest = &rest[end + 1..];
        }
        extend(&mut partial, rest);
        if read.end_of_source {
            end_source(&mut partial, handle)?;
        }
    }
    end_source(&mut partial, handle)
}

fn end_source(partial: &mut Vec<u8>, handle: Handle<'_>) -> anyhow::Result<()> {
    if !partial.is_empty() {
        handle(Some(partial))?;
        partial.clear();
    }
    handle(None)
}

fn extend(partial: &mut Vec<u8>, bytes: &[u8]) {
    let room = RECORD_BYTES_MAX - partial.len();
    partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

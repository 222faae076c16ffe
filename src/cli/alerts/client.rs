//! Asks the daemon over its control socket: one request a connection, by HTTP/1.0, so that nothing but the standard library is needed.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::daemon::control::wire::Failure;

/// The daemon behind a socket.
pub(super) struct Client {
    path: PathBuf,
}

impl Client {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What the daemon answers.
    ///
    /// # Errors
    /// When nobody answers, and what the daemon says is wrong.
    pub(super) fn get(&self, target: &str) -> Result<Value> {
        self.send("GET", target, "")
    }

    /// The same for a request that changes something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) fn send(&self, method: &str, target: &str, body: &str) -> Result<Value> {
        let answer = self.exchange(method, target, body).map_err(|error| self.explain(error))?;
        let (status, body) = parse(&answer).with_context(|| self.strange("no HTTP"))?;
        let value: Value = serde_json::from_str(body).with_context(|| self.strange("no JSON"))?;
        if status != 200 {
            let Failure { error } = read(value)?;
            bail!("{error}");
        }
        Ok(value)
    }

    fn exchange(&self, method: &str, target: &str, body: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.0\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn explain(&self, error: io::Error) -> anyhow::Error {
        let path = self.path.display();
        let kind = error.kind();
        if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            anyhow!("no daemon answers at {path}; is it running, and is this its socket (--config or --socket)?")
        } else if kind == ErrorKind::PermissionDenied {
            anyhow!("{path} may not be used by this user; are you in the group of the daemon (hdfs-vigil)?")
        } else if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            anyhow!("the daemon at {path} did not answer within {PATIENCE:?}; it hangs, or is stopped")
        } else {
            anyhow::Error::new(error).context(format!("ask the daemon at {path}"))
        }
    }

    fn strange(&self, what: &str) -> String {
        format!("{} answers with {what}; is it the control socket of an hdfs-vigil of this version?", self.path.display())
    }
}

/// An answer as what it should be.
///
/// # Errors
/// When the daemon is of a version that says it otherwise.
pub(super) fn read<T: DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer).context("read the daemon's answer; is it of the same version?")
}

/// Status and body of an answer.
fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, body))
}

/// Longer than the daemon waits for its own parts.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let check = |answer: &str, expected: Option<(u16, &str)>| assert_eq!(parse(answer), expected, "{answer:?}");
        check("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", Some((200, "{}")));
        check("HTTP/1.1 404 Not Found\r\n\r\n", Some((404, "")));
        check("HTTP/1.1 200 OK\r\n", None);
        check("SSH-2.0-OpenSSH\r\n\r\n", None);
        check("", None);
    }

    #[test]
    fn who_does_not_answer_is_named_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let complaint = || Client::new(&path).get("/alerts").unwrap_err().to_string();
        assert!(complaint().contains("no daemon answers at"), "{}", complaint());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(complaint().contains("is it running"), "{}", complaint());
    }
}

//! Finds the class of the exception that a record carries: the first of its lines that opens a stack trace.

use crate::limits::{EXCEPTION_CLASS_BYTES_MAX, EXCEPTION_LINES_MAX};

/// The class of the first trace in `lines`, the lines of a record behind its first, looked for in [`EXCEPTION_LINES_MAX`] of them:
/// `java.io.IOException`, or with the class that a server sent, `org.apache.hadoop.ipc.RemoteException(java.io.FileNotFoundException)`.
#[must_use]
pub fn class(lines: &[u8]) -> Option<&[u8]> {
    lines.split(|byte| *byte == b'\n').take(EXCEPTION_LINES_MAX).find_map(opening_class)
}

/// Whether a word is such a class.
#[must_use]
pub fn is_class(word: &[u8]) -> bool {
    opening_class(word).is_some_and(|class| class.len() == word.len())
}

/// The class at the start of a line that opens a trace.
fn opening_class(line: &[u8]) -> Option<&[u8]> {
    let line = &line[..line.len().min(EXCEPTION_CLASS_BYTES_MAX + 1)];
    let mut end = class_length(line)?;
    if line.get(end) == Some(&b'(') {
        let sent = class_length(&line[end + 1..])?;
        end += 1 + sent;
        if line.get(end) != Some(&b')') {
            return None;
        }
        end += 1;
    }
    let ends = matches!(line.get(end), None | Some(b':' | b' ' | b'\r'));
    (ends && end <= EXCEPTION_CLASS_BYTES_MAX).then(|| &line[..end])
}

/// Bytes of a dotted lower-case package and a CamelCase class that ends in Exception, Error or Throwable, at the start of `text`.
fn class_length(text: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let part = &text[start..];
        let length = part.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')).count();
        match part.first()? {
            b'a'..=b'z' if part.get(length) == Some(&b'.') => start += length + 1,
            b'A'..=b'Z' if start > 0 => {
                let name = &part[..length];
                return SUFFIXES.iter().any(|suffix| name.ends_with(suffix)).then_some(start + length);
            }
            _ => return None,
        }
    }
}

const SUFFIXES: [&[u8]; 3] = [b"Exception", b"Error", b"Throwable"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_opens_a_trace() {
        check(
            "java.io.IOException: Premature EOF from inputStream\n\tat org.apache.hadoop.io.IOUtils",
            Some("java.io.IOException"),
        );
        check("java.lang.OutOfMemoryError", Some("java.lang.OutOfMemoryError"));
        check("java.lang.Throwable\r", Some("java.lang.Throwable"));
        check(
            "org.apache.hadoop.hdfs.server.namenode.A$LeaseException: x",
            Some("org.apache.hadoop.hdfs.server.namenode.A$LeaseException"),
        );
        check(
            "org.apache.hadoop.ipc.RemoteException(java.io.FileNotFoundException): /a does not exist",
            Some("org.apache.hadoop.ipc.RemoteException(java.io.FileNotFoundException)"),
        );
        check(
            "getNumBytes() = 1\n  getVolume = /d\njava.net.SocketException: reset\njava.io.IOException: x",
            Some("java.net.SocketException"),
        );
    }

    #[test]
    fn what_opens_no_trace() {
        for line in [
            "",
            "\tat java.io.IOException.foo(IOException.java:1)",
            "IOException: without a package",
            "java.io.Closeable: no exception",
            "java.io.IOExceptional: no exception",
            "java.io.IOException, and more",
            "java.io.IOException(5): x",
            "org.apache.RemoteException(java.io.FileNotFoundException: open",
            "java..IOException: x",
            "java.io.",
            "Caused by: java.io.IOException: not the first",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn lines_and_bytes_looked_at_are_bounded() {
        for (before, found) in [(EXCEPTION_LINES_MAX - 1, true), (EXCEPTION_LINES_MAX, false)] {
            let lines = "box\n".repeat(before) + "java.io.IOException: x";
            assert_eq!(class(lines.as_bytes()).is_some(), found, "{before} lines before it");
        }
        for (length, found) in [
            (EXCEPTION_CLASS_BYTES_MAX - 1, true),
            (EXCEPTION_CLASS_BYTES_MAX, true),
            (EXCEPTION_CLASS_BYTES_MAX + 1, false),
            (EXCEPTION_CLASS_BYTES_MAX + 2, false),
        ] {
            let line = format!("a.{}Exception", "A".repeat(length - "a.Exception".len()));
            assert_eq!(class(line.as_bytes()).is_some(), found, "{length} bytes");
        }
    }

    fn check(lines: &str, expected: Option<&str>) {
        assert_eq!(class(lines.as_bytes()).map(String::from_utf8_lossy).as_deref(), expected, "{lines}");
    }
}

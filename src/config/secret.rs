//! The secrets that webhooks are signed with: read from a file of their own, never printed.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A key of HMAC-SHA256. Its bytes are for signing only; it prints as `hidden`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The secrets in the file at `path`, one a line, oldest wish of the user first; empty lines are passed over.
    ///
    /// # Errors
    /// What is wrong with the file, without its content: not readable, too large, no secret in it, or one of a wrong length.
    pub fn read(path: &Path) -> Result<Vec<Self>, String> {
        let failed = |error: std::io::Error| format!("is {}, which cannot be read: {error}", path.display());
        let size = std::fs::metadata(path).map_err(failed)?.len();
        if size > FILE_BYTES_MAX {
            return Err(format!("is {} of {size} bytes, must be a file of at most {FILE_BYTES_MAX}", path.display()));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Option<Vec<_>> = lines.map(Self::parse).collect();
        let usable = secrets.filter(|secrets| (1..=SECRETS_MAX).contains(&secrets.len()));
        usable.ok_or_else(|| format!("is {}, which must hold 1..={SECRETS_MAX} lines: \"whsec_\" and base64, or a text of {BYTES_MIN}..={BYTES_MAX} bytes", path.display()))
    }

    /// The secret that `text` stands for: the decoded bytes after `whsec_`, else the text itself. `None` when it is too short or too long.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = match text.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).ok()?,
            None => text.as_bytes().to_vec(),
        };
        (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The key, for signing.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

/// Less could be guessed; Standard Webhooks asks for 24 and takes more.
const BYTES_MIN: usize = 16;
/// Walls off a wrong file.
const BYTES_MAX: usize = 4096;
/// An old and a new one, and one to spare: each adds a signature to every request.
const SECRETS_MAX: usize = 4;
const FILE_BYTES_MAX: u64 = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_texts_or_encoded_bytes() {
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Some(24));
        check("0123456789abcdef", Some(16));
        check("0123456789abcde", None);
        check("whsec_not base64 at all, is it?", None);
        check("whsec_c2hvcnQ=", None);
        check(&"x".repeat(4096), Some(4096));
        check(&"x".repeat(4097), None);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::parse("0123456789abcdef").unwrap();
        assert_eq!(format!("{secret:?}"), "hidden");
    }

    fn check(text: &str, length: Option<usize>) {
        assert_eq!(Secret::parse(text).map(|secret| secret.bytes().len()), length, "{text:?}");
    }
}

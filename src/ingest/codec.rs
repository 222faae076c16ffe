//! Decodes compressed logs from their beginning on: gzip of any number of members, zstd of any number of frames.

use std::io::{self, BufRead, Read};

use flate2::read::MultiGzDecoder;

use crate::limits::ZSTD_WINDOW_LOG_MAX;

/// How a log is compressed. Of one log compressed in two ways, the first of these is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// RFC 1952; its name ends in `.gz`.
    Gzip,
    /// RFC 8878; its name ends in `.zst`.
    Zstd,
}

/// The bytes that a compressed file stands for. A file that is torn ends in `UnexpectedEof`, never quietly; the error comes once,
/// and what is read after it means nothing.
pub enum Decoder<R: BufRead> {
    /// Holds a window of 32 KiB.
    Gzip(MultiGzDecoder<R>),
    /// Holds the window of the frame, at most 2^[`ZSTD_WINDOW_LOG_MAX`] bytes.
    Zstd(zstd::Decoder<'static, R>),
}

impl Codec {
    /// All that are known.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// How the names of its files end.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

impl<R: BufRead> Decoder<R> {
    /// Decodes `compressed`, of which nothing is read yet.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(codec: Codec, compressed: R) -> io::Result<Self> {
        Ok(match codec {
            Codec::Gzip => Self::Gzip(MultiGzDecoder::new(compressed)),
            Codec::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(compressed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(decoder)
            }
        })
    }

    /// What is decoded.
    #[must_use]
    pub fn get_ref(&self) -> &R {
        match self {
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
        }
    }

    /// Its codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match self {
            Self::Gzip(_) => Codec::Gzip,
            Self::Zstd(_) => Codec::Zstd,
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn members_and_frames_decode_as_one() {
        for codec in Codec::ALL {
            let packed = [pack(codec, b"one\n"), pack(codec, b""), pack(codec, b"two\n")].concat();
            assert_eq!(decode(codec, &packed).unwrap(), b"one\ntwo\n", "{codec:?}");
        }
    }

    #[test]
    fn wherever_it_is_torn_it_does_not_end_quietly() {
        let text = b"a line that repeats itself\n".repeat(100);
        for codec in Codec::ALL {
            let first = pack(codec, &text);
            let packed = [first.clone(), pack(codec, &text)].concat();
            for cut in (0..packed.len()).filter(|&cut| cut != first.len()) {
                let error = decode(codec, &packed[..cut]).expect_err("torn");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{codec:?} at {cut}");
            }
        }
    }

    #[test]
    fn a_window_larger_than_allowed_is_refused() {
        for (log, is_taken) in [(ZSTD_WINDOW_LOG_MAX - 1, true), (ZSTD_WINDOW_LOG_MAX, true), (ZSTD_WINDOW_LOG_MAX + 1, false)] {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(b"one\n").unwrap();
            let decoded = decode(Codec::Zstd, &encoder.finish().unwrap());
            assert_eq!(decoded.is_ok(), is_taken, "{log}: {decoded:?}");
        }
    }

    fn decode(codec: Codec, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Decoder::new(codec, packed)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Compresses `bytes` as one member or frame.
    pub fn pack(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }
}

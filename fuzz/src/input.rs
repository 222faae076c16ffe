//! How a fuzzer's bytes are read, so that short inputs reach long lines and every way to cut them.

/// The bytes with every `0xff h l c` replaced by `c`, repeated `256 h + l` times: lines at the bound take five bytes. `0xff` is in no
/// UTF-8, so that real text stays as it is. At most `bytes_max` bytes.
#[must_use]
pub fn expand(data: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = data;
    while let Some((&first, behind)) = rest.split_first() {
        match (first, behind) {
            (0xff, &[high, low, byte, ref behind @ ..]) => {
                out.resize(out.len() + usize::from(high) * 256 + usize::from(low), byte);
                rest = behind;
            }
            _ => {
                out.push(first);
                rest = behind;
            }
        }
        out.truncate(bytes_max);
    }
    out
}

/// Lengths of parts, at least one byte each, that follow from a seed alone: mostly short ones, now and then a long one.
pub struct Cuts(u32);

impl Cuts {
    /// The lengths that a seed stands for.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        Self(u32::from(seed).wrapping_mul(0x9e37_79b9) | 1)
    }

    /// `bytes` in parts, each with its offset.
    pub fn of<'a>(&mut self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u8])> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = at;
            at = bytes.len().min(start + self.next_length());
            (start < at).then(|| (start, &bytes[start..at]))
        })
    }

    /// xorshift (Marsaglia 2003, "Xorshift RNGs").
    fn next_length(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        let most = [1, 3, 17, 300, 40_000][self.0 as usize % 5];
        1 + (self.0 as usize >> 8) % most
    }
}

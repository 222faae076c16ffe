//! Small changes to inputs, the same in every run: what the tests try without a fuzzer.

/// One to four changes: bytes overwritten, taken out, doubled, or brought in from another input.
#[must_use]
pub fn changed(random: &mut Random, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = bytes.len().min(at + 1 + random.below(24));
        match random.below(4) {
            0 if at < bytes.len() => {
                bytes[at] = [b'\n', b'\r', b' ', b'0', b'9', b'-', b'_', b'/', 0xff, random.next() as u8][random.below(10)]
            }
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                let to = other.len().min(from + random.below(40));
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

/// xorshift (Marsaglia 2003, "Xorshift RNGs"): the same changes in every run.
pub struct Random(pub u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }
}

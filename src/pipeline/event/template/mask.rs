//! Splits a message into words and replaces what varies from line to line by a wildcard: block ids, pools, addresses, numbers, paths.

use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_WORDS_MAX};
use crate::pipeline::event::block;

/// What stands for a part that varies.
pub const WILDCARD: &[u8] = b"<*>";

/// Which parts of a message are replaced before Drain sees it. The names are those of [`crate::pipeline::profile::DrainSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masks {
    block: bool,
    pool: bool,
    number: bool,
    path: bool,
}

impl Masks {
    /// Names of all masks.
    pub const NAMES: [&'static str; 4] = ["block", "pool", "number", "path"];

    /// The masks of these names; the first unknown name is the error.
    ///
    /// # Errors
    /// A name that is not in [`Masks::NAMES`].
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut masks = Self { block: false, pool: false, number: false, path: false };
        for name in names {
            match name {
                "block" => masks.block = true,
                "pool" => masks.pool = true,
                "number" => masks.number = true,
                "path" => masks.path = true,
                _ => return Err(name.to_owned()),
            }
        }
        Ok(masks)
    }
}

/// The words of one message after masking. Its buffers are used again for the next message.
#[derive(Clone, Debug, Default)]
pub struct Words {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Words {
    /// Splits and masks the first line of `content`: at most [`MESSAGE_BYTES_MAX`] bytes and [`MESSAGE_WORDS_MAX`] words of it.
    ///
    /// Words that are block ids and follow each other count as one, so that a line has one template however many blocks it names.
    pub fn read(&mut self, content: &[u8], masks: Masks) {
        self.text.clear();
        self.ends.clear();
        let line = memchr::memchr(b'\n', content).map_or(content, |end| &content[..end]);
        let line = &line[..line.len().min(MESSAGE_BYTES_MAX)];
        let mut after_block = false;
        for word in line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty()) {
            let is_block = masks.block && is_block(word);
            if is_block && after_block {
                continue;
            }
            after_block = is_block;
            if self.ends.len() == MESSAGE_WORDS_MAX {
                break;
            }
            mask_word(word, masks, &mut self.text);
            self.ends.push(self.text.len());
        }
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the message was empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// The words, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }
}

fn is_block(word: &[u8]) -> bool {
    let word = word.strip_suffix(b",").unwrap_or(word);
    block::block_number(word).is_some_and(|(_, length)| length == word.len())
}

/// A part that varies begins with the word, or behind a byte that is not alphanumeric; what lies between is copied as a whole.
fn mask_word(word: &[u8], masks: Masks, out: &mut Vec<u8>) {
    let mut at = 0;
    while at < word.len() {
        let begins_part = at == 0 || !word[at - 1].is_ascii_alphanumeric();
        let length = if begins_part { masked_length(&word[at..], masks) } else { 0 };
        if length == 0 {
            let literal = (run(&word[at..], |byte| byte.is_ascii_alphanumeric()) + 1).min(word.len() - at);
            out.extend_from_slice(&word[at..at + literal]);
            at += literal;
        } else {
            out.extend_from_slice(WILDCARD);
            at += length;
        }
    }
}

/// Bytes at the start of `text` that vary, 0 when they do not.
fn masked_length(text: &[u8], masks: Masks) -> usize {
    match text[0] {
        b'b' if masks.block => block::block_number(text).map_or(0, |(_, length)| length),
        b'B' if masks.pool && text.starts_with(b"BP-") => {
            run(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        }
        b'/' if masks.path => path_length(text),
        b'0'..=b'9' | b'-' | b'+' if masks.number => number_length(text),
        _ => 0,
    }
}

/// A path or `/host:port`: everything but the punctuation that ends it. A lone `/` is none.
fn path_length(text: &[u8]) -> usize {
    let end = text.iter().rposition(|byte| !matches!(byte, b'.' | b',' | b';' | b':' | b')' | b']')).map_or(0, |last| last + 1);
    if end > 1 { end } else { 0 }
}

/// A number with an optional sign, or numbers joined by `.` and `:` (addresses, ports, clocks), when nothing alphanumeric follows.
fn number_length(text: &[u8]) -> usize {
    let sign = usize::from(!text[0].is_ascii_digit());
    let mut end = sign + run(&text[sign..], |byte| byte.is_ascii_digit());
    if end == sign {
        return 0;
    }
    while matches!(text.get(end), Some(b'.' | b':')) && text.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end += 1 + run(&text[end + 1..], |byte| byte.is_ascii_digit());
    }
    let bounded = text.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    if bounded { end } else { 0 }
}

fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_in_the_sentences_of_2008() {
        check("Receiving block blk_-160 src: /10.250.19.102:54106 dest: /10.2.3.4:5", "Receiving block <*> src: <*> dest: <*>");
        check("PacketResponder 1 for block blk_38 terminating", "PacketResponder <*> for block <*> terminating");
        check("BLOCK* NameSystem.allocateBlock: /user/root/part-00. blk_1", "BLOCK* NameSystem.allocateBlock: <*>. <*>");
        check("10.2.3.4:50010:Got exception while serving blk_1 to /10.1.1.1:", "<*>:Got exception while serving <*> to <*>:");
        check("BLOCK* ask 10.1.1.1:5 to delete  blk_1 blk_2 blk_-3", "BLOCK* ask <*> to delete <*>");
    }

    #[test]
    fn what_varies_in_the_sentences_of_hadoop_2_and_3() {
        check("Receiving BP-76-127.0.0.1-17:blk_10_41 src: /127.0.0.1:3 dest: /a", "Receiving <*>:<*> src: <*> dest: <*>");
        check(
            "BLOCK* addStoredBlock: 1.2.3.4:9 is added to blk_1_2 (size=94208)",
            "BLOCK* addStoredBlock: <*> is added to <*> (size=<*>)",
        );
        check("downstreams=2:[127.0.0.1:2903, 127.0.0.1:29] terminating", "downstreams=<*>:[<*>, <*>] terminating");
        check("Deleted BP-1 blk_9_1 URI file:/data/hdfs/blk_9", "Deleted <*> <*> URI file:<*>");
    }

    #[test]
    fn what_does_not_vary() {
        check("I/O error / took 5ms v2 a1 -x blk_ BP", "I/O error / took 5ms v2 a1 -x blk_ BP");
        check("", "");
    }

    #[test]
    fn words_and_bytes_are_bounded() {
        let mut words = Words::default();
        for (count, kept) in [
            (MESSAGE_WORDS_MAX - 1, MESSAGE_WORDS_MAX - 1),
            (MESSAGE_WORDS_MAX, MESSAGE_WORDS_MAX),
            (MESSAGE_WORDS_MAX + 1, MESSAGE_WORDS_MAX),
        ] {
            words.read("a ".repeat(count).as_bytes(), all());
            assert_eq!(words.len(), kept);
        }
        words.read("a".repeat(MESSAGE_BYTES_MAX + 1).as_bytes(), all());
        assert_eq!(words.get(0).len(), MESSAGE_BYTES_MAX);
    }

    fn check(content: &str, expected: &str) {
        let mut words = Words::default();
        words.read(content.as_bytes(), all());
        let found: Vec<&[u8]> = words.iter().collect();
        assert_eq!(String::from_utf8_lossy(&found.join(&b' ')), expected);
    }

    fn all() -> Masks {
        Masks::from_names(Masks::NAMES).expect("its own names are known")
    }
}

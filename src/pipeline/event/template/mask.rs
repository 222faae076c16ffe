//! Splits a message into words and replaces what varies from line to line by a wildcard: block ids, pools, addresses, numbers, paths.

use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_WORDS_MAX};
use crate::pipeline::event::block;
use crate::pipeline::event::template::exception;
use crate::pipeline::event::template::words::{WILDCARD, Words};

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

    /// No mask.
    pub const NONE: Self = Self { block: false, pool: false, number: false, path: false };

    /// All masks.
    pub const ALL: Self = Self { block: true, pool: true, number: true, path: true };

    /// The masks of these names; the first unknown name is the error.
    ///
    /// # Errors
    /// A name that is not in [`Masks::NAMES`].
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut masks = Self::NONE;
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

/// Reads messages into words. Its buffers are used again for the next message.
#[derive(Clone, Debug)]
pub struct Reader {
    masks: Masks,
    /// The kinds of bytes (see [`KINDS`]) of which a word must have one to be masked.
    maskable: u8,
    words: Words,
    with_class: bool,
}

impl Reader {
    /// A reader that replaces what these masks say.
    #[must_use]
    pub fn new(masks: Masks) -> Self {
        let Masks { block, pool, number, path } = masks;
        let kinds = [(block, UNDERSCORE), (pool, DASH), (number, DIGIT), (path, SLASH)];
        let maskable = kinds.into_iter().filter(|(masked, _)| *masked).fold(0, |kinds, (_, kind)| kinds | kind);
        Self { masks, maskable, words: Words::default(), with_class: false }
    }

    /// Splits and masks the first line of `content`: at most [`MESSAGE_BYTES_MAX`] bytes and [`MESSAGE_WORDS_MAX`] words of it. When
    /// one of the lines that follow opens a stack trace, the class of its exception becomes the last word.
    ///
    /// Words that are block ids and follow each other count as one, so that a line has one template however many blocks it names.
    pub fn read(&mut self, content: &[u8]) {
        self.words.clear();
        let (line, lines) = match memchr::memchr(b'\n', content) {
            Some(end) => (&content[..end], &content[end + 1..]),
            None => (content, &[][..]),
        };
        self.read_line(&line[..line.len().min(MESSAGE_BYTES_MAX)]);
        let class = if lines.is_empty() { None } else { exception::class(lines) };
        self.with_class = class.is_some();
        class.into_iter().for_each(|class| self.words.push(class));
    }

    /// The words of the message that was read last.
    #[must_use]
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// Whether the last word is the class of an exception.
    #[must_use]
    pub fn has_class(&self) -> bool {
        self.with_class
    }

    fn read_line(&mut self, line: &[u8]) {
        let mut after_block = false;
        let mut end = 0;
        while let Some((word, kinds)) = next_word(line, &mut end) {
            let is_block = self.masks.block && kinds & UNDERSCORE != 0 && is_block(word);
            if is_block && after_block {
                continue;
            }
            after_block = is_block;
            if self.words.len() == MESSAGE_WORDS_MAX {
                return;
            }
            let out = self.words.begin_word();
            if kinds & self.maskable == 0 {
                out.extend_from_slice(word);
            } else {
                mask_word(word, self.masks, out);
            }
            self.words.end_word();
        }
    }
}

/// The word of `line` behind `end`, which moves behind it, and the kinds of bytes that it has.
fn next_word<'a>(line: &'a [u8], end: &mut usize) -> Option<(&'a [u8], u8)> {
    let start = *end + line[*end..].iter().position(|byte| KINDS[usize::from(*byte)] & BLANK == 0)?;
    let mut kinds = 0;
    let length = line[start..].iter().take_while(|byte| {
        let kind = KINDS[usize::from(**byte)];
        kinds |= kind;
        kind & BLANK == 0
    });
    *end = start + length.count();
    Some((&line[start..*end], kinds))
}

const BLANK: u8 = 1;
const DIGIT: u8 = 2;
const SLASH: u8 = 4;
const DASH: u8 = 8;
const UNDERSCORE: u8 = 16;

/// What the bytes are that tell whether a word must be looked at more closely.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    kinds[b' ' as usize] = BLANK;
    kinds[b'\t' as usize] = BLANK;
    kinds[b'\r' as usize] = BLANK;
    kinds[b'/' as usize] = SLASH;
    kinds[b'-' as usize] = DASH;
    kinds[b'_' as usize] = UNDERSCORE;
    let mut digit = b'0';
    while digit <= b'9' {
        kinds[digit as usize] = DIGIT;
        digit += 1;
    }
    kinds
};

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
    fn only_what_is_asked_for_is_masked() {
        for (names, expected) in [
            (&["number"][..], "a <*> blk_<*> /b BP-<*> x_<*>"),
            (&["block"], "a 7 <*> /b BP-1 x_2"),
            (&["path"], "a 7 blk_1 <*> BP-1 x_2"),
            (&["pool"], "a 7 blk_1 /b <*> x_2"),
            (&[], "a 7 blk_1 /b BP-1 x_2"),
        ] {
            let mut reader = Reader::new(Masks::from_names(names.iter().copied()).expect("their names are known"));
            reader.read(b"a 7 blk_1 /b BP-1 x_2");
            assert_eq!(String::from_utf8_lossy(reader.words().text()), expected, "{names:?}");
        }
    }

    #[test]
    fn the_class_of_an_exception_is_the_last_word() {
        check("error on blk_1\njava.io.IOException: reset by 1.2.3.4\n\tat a.B", "error on <*> java.io.IOException");
        check("\njava.io.IOException: x", "java.io.IOException");
        check("Scheduling blk_1\n  getNumBytes = 1", "Scheduling <*>");
    }

    #[test]
    fn words_and_bytes_are_bounded() {
        let mut reader = Reader::new(Masks::ALL);
        for (count, kept) in [
            (MESSAGE_WORDS_MAX - 1, MESSAGE_WORDS_MAX - 1),
            (MESSAGE_WORDS_MAX, MESSAGE_WORDS_MAX),
            (MESSAGE_WORDS_MAX + 1, MESSAGE_WORDS_MAX),
        ] {
            reader.read("a ".repeat(count).as_bytes());
            assert_eq!(reader.words().len(), kept);
        }
        for (length, kept) in [
            (MESSAGE_BYTES_MAX - 1, MESSAGE_BYTES_MAX - 1),
            (MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX),
            (MESSAGE_BYTES_MAX + 1, MESSAGE_BYTES_MAX),
        ] {
            reader.read("a".repeat(length).as_bytes());
            assert_eq!(reader.words().get(0).len(), kept);
        }
    }

    fn check(content: &str, expected: &str) {
        let mut reader = Reader::new(Masks::ALL);
        reader.read(content.as_bytes());
        assert_eq!(String::from_utf8_lossy(reader.words().text()), expected, "{content}");
        assert_eq!(
            reader.words().iter().map(|word| word.len() + 1).sum::<usize>(),
            reader.words().text().len() + usize::from(!expected.is_empty())
        );
    }
}

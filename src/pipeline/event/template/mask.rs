//! Splits a message into words and replaces what varies from line to line by a wildcard: block ids, pools, addresses, numbers, paths, UUIDs.

use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_WORDS_MAX};
use crate::pipeline::event::block;
use crate::pipeline::event::template::exception;
use crate::pipeline::event::template::words::Words;

/// Which parts of a message are replaced before Drain sees it. The names are those of [`crate::pipeline::profile::DrainSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masks {
    block: bool,
    pool: bool,
    number: bool,
    path: bool,
    uuid: bool,
}

impl Masks {
    /// Names of all masks.
    pub const NAMES: [&'static str; 5] = ["block", "pool", "number", "path", "uuid"];

    /// No mask.
    pub const NONE: Self = Self { block: false, pool: false, number: false, path: false, uuid: false };

    /// All masks.
    pub const ALL: Self = Self { block: true, pool: true, number: true, path: true, uuid: true };

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
                "uuid" => masks.uuid = true,
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
    kinds: [u8; 256],
    /// The line as it is masked; never longer than [`MASKED_BYTES_MAX`].
    masked: Vec<u8>,
    words: Words,
    with_class: bool,
}

impl Reader {
    /// A reader that replaces what these masks say.
    #[must_use]
    pub fn new(masks: Masks) -> Self {
        Self { masks, kinds: kinds(masks), masked: vec![0; MASKED_BYTES_MAX], words: Words::default(), with_class: false }
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
        let Self { masks, kinds, masked, words, .. } = self;
        let mut scan = Scan { line, at: 0, kinds, masks: *masks, masked, length: 0 };
        let mut after_block = false;
        while scan.begin_word() && words.len() < MESSAGE_WORDS_MAX {
            let block = scan.block_word();
            if !(after_block && block.is_some()) {
                if !words.is_empty() {
                    scan.put([b' ']);
                }
                match block {
                    Some(BlockWord { comma: false, .. }) => scan.put(MASKED),
                    Some(BlockWord { comma: true, .. }) => scan.put(*b"<*>,"),
                    None => scan.mask_word(),
                }
                words.end_at(scan.length);
            }
            scan.at += block.map_or(0, |word| word.length);
            after_block = block.is_some();
        }
        words.set_text(&scan.masked[..scan.length]);
    }
}

/// A line on its way through the masks: bytes are looked at once, and copied where nothing is masked.
struct Scan<'a> {
    line: &'a [u8],
    at: usize,
    kinds: &'a [u8; 256],
    masks: Masks,
    masked: &'a mut [u8],
    length: usize,
}

/// A word that is a block id.
#[derive(Clone, Copy)]
struct BlockWord {
    length: usize,
    comma: bool,
}

impl Scan<'_> {
    /// Moves to the next word; false when there is none.
    fn begin_word(&mut self) -> bool {
        while self.kind_at(self.at).is_some_and(|kind| kind & BLANK != 0) {
            self.at += 1;
        }
        self.at < self.line.len()
    }

    /// The word here when it is a block id and no more, or one with a comma.
    fn block_word(&self) -> Option<BlockWord> {
        let rest = &self.line[self.at..];
        if !self.masks.block || rest[0] != b'b' {
            return None;
        }
        let (_, block) = block::block_number(rest)?;
        let comma = rest.get(block) == Some(&b',');
        let length = block + usize::from(comma);
        let ends = self.kind_at(self.at + length).is_none_or(|kind| kind & BLANK != 0);
        ends.then_some(BlockWord { length, comma })
    }

    /// The length is known where this is called, so that it is a few moves and no call.
    fn put<const LENGTH: usize>(&mut self, bytes: [u8; LENGTH]) {
        self.masked[self.length..self.length + LENGTH].copy_from_slice(&bytes);
        self.length += LENGTH;
    }

    /// Copies the word here. A part that varies begins with the word, or behind a byte that is not alphanumeric.
    fn mask_word(&mut self) {
        let mut begins_part = true;
        loop {
            self.copy_literal(begins_part);
            let masked = if self.kind_at(self.at).is_some_and(|kind| kind & BLANK == 0) { self.masked_length() } else { return };
            if masked > 0 {
                self.put(MASKED);
                self.at += masked;
            } else {
                self.put([self.line[self.at]]);
                self.at += 1;
            }
            begins_part = !self.line[self.at - 1].is_ascii_alphanumeric();
        }
    }

    /// Copies up to the end of the word, or to where a part begins that may be masked. Most bytes pass here, so it works on copies of
    /// where it stands, which stay in registers.
    fn copy_literal(&mut self, mut begins_part: bool) {
        let (mut at, mut length) = (self.at, self.length);
        while let Some(byte) = self.line.get(at) {
            let kind = self.kinds[usize::from(*byte)];
            if kind & BLANK != 0 || (begins_part && kind & MASKABLE != 0) {
                break;
            }
            self.masked[length] = *byte;
            at += 1;
            length += 1;
            begins_part = kind & ALPHANUMERIC == 0;
        }
        (self.at, self.length) = (at, length);
    }

    fn kind_at(&self, at: usize) -> Option<u8> {
        self.line.get(at).map(|byte| self.kinds[usize::from(*byte)])
    }

    /// Bytes here that vary, 0 when they do not.
    fn masked_length(&self) -> usize {
        let (text, masks) = (&self.line[self.at..], self.masks);
        if masks.uuid && is_uuid(text) {
            return UUID_BYTES;
        }
        match text[0] {
            b'b' if masks.block => block::block_number(text).map_or(0, |(_, length)| length),
            b'B' if masks.pool && text.starts_with(b"BP-") => {
                run(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
            }
            b'/' if masks.path => path_length(&text[..run(text, |byte| self.kinds[usize::from(byte)] & BLANK == 0)]),
            b'0'..=b'9' | b'-' | b'+' if masks.number => number_length(text),
            _ => 0,
        }
    }
}

/// Whether a UUID stands here, as DataNodes have one each: 8-4-4-4-12 hexadecimal digits (RFC 9562), and nothing alphanumeric behind.
fn is_uuid(text: &[u8]) -> bool {
    let dashed = |text: &[u8]| UUID_DASHES.iter().all(|&at| text[at] == b'-');
    let hexadecimal = |(at, byte): (usize, &u8)| byte.is_ascii_hexdigit() || UUID_DASHES.contains(&at);
    let Some(uuid) = text.get(..UUID_BYTES).filter(|text| dashed(text)) else {
        return false;
    };
    uuid.iter().enumerate().all(hexadecimal) && text.get(UUID_BYTES).is_none_or(|byte| !byte.is_ascii_alphanumeric())
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

/// What each byte is: whether it parts words, is alphanumeric, and whether something that is masked begins with it.
fn kinds(masks: Masks) -> [u8; 256] {
    let Masks { block, pool, number, path, uuid } = masks;
    let begins = |byte: u8| match byte {
        b'b' => block || uuid,
        b'B' => pool || uuid,
        b'/' => path,
        b'0'..=b'9' => number || uuid,
        b'-' | b'+' => number,
        _ => uuid && byte.is_ascii_hexdigit(),
    };
    let kind = |(byte, kind): (u8, &mut u8)| {
        *kind |= if matches!(byte, b' ' | b'\t' | b'\r') { BLANK } else { 0 };
        *kind |= if byte.is_ascii_alphanumeric() { ALPHANUMERIC } else { 0 };
        *kind |= if begins(byte) { MASKABLE } else { 0 };
    };
    let mut kinds = [0; 256];
    (0..=u8::MAX).zip(&mut kinds).for_each(kind);
    kinds
}

/// What stands for what is masked.
const MASKED: [u8; 3] = *b"<*>";

const UUID_BYTES: usize = 36;
const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];

const BLANK: u8 = 1;
const ALPHANUMERIC: u8 = 2;
const MASKABLE: u8 = 4;

/// Each byte may be a number, and a space before each word.
const MASKED_BYTES_MAX: usize = MASKED.len() * MESSAGE_BYTES_MAX + MESSAGE_WORDS_MAX;

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
        check("lost blk_1, blk_2_7, blk_-3 and blk_4: blk_5", "lost <*>, and <*>: <*>");
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
        check("srvID: d74967a1-6042-4aa7-88b7-00f98d0a1075, blockid: BP-1:blk_2_3", "srvID: <*>, blockid: <*>:<*>");
        check("[DISK]DS-03DCF5C2-5170-47eb-8694-bd485235b77c:NORMAL", "[DISK]DS-<*>:NORMAL");
        check(
            "d74967a1-6042-4aa7-88b7-00f98d0a1075a d74967a1 bad-cafe",
            "d74967a1-<*>-4aa7-88b7-00f98d0a1075a d74967a1 bad-cafe",
        );
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
        reader.read("1,".repeat(MESSAGE_BYTES_MAX).as_bytes());
        assert_eq!(reader.words().get(0).len(), MESSAGE_BYTES_MAX / 2 * "<*>,".len());
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

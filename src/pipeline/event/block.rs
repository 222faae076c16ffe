//! Finds the blocks that a record names, and the pools that it names them in.
//!
//! An id is `blk_N` or `blk_N_GS`, numbers as Java writes a `long`, and stands as a word of its own: what is before it and behind it
//! is a blank or punctuation, never a letter, a digit, `_`, or a `-` or `.` that ties it to more text (`myblk_1`, `blk_1x`,
//! `blk_1-2`, `blk_1.txt` are none; `blk_1_7.meta` is one). Behind a `/` it is the name of a file, and a file is a block only in the
//! folders in which a DataNode keeps them: `…/current/BP-…/current/finalized/subdir0/subdir0/blk_1` and `…/current/subdir40/blk_-1` of 2008
//! are, `/user/x/blk_1` and `blk_1/part-0` are not. HDFS names a block beside its path, so that a doubtful path is no loss.

use std::ops::Range;

use memchr::{memchr_iter, memrchr, memrchr_iter};

/// A block as a record names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlock<'a> {
    /// `BP-…`: the pool that the id stands in, else the one named last before it, else the first one named behind it; `None` when
    /// the record names none.
    pub pool: Option<&'a [u8]>,
    /// The number; negative ones occur. Of an internal block of an erasure-coded group, the number of the group.
    pub number: i64,
}

/// The blocks that `content` names, in order, repeats included.
#[must_use]
pub fn blocks(content: &[u8]) -> Blocks<'_> {
    Blocks { content, at: 0, names_pool: last_pool(content).is_some(), pool: None, pool_behind: None }
}

/// Whether [`blocks`] finds any: cheaper, since it looks for no pools.
#[must_use]
pub fn names_block(content: &[u8]) -> bool {
    prefixes(content, 0).any(|at| id(content, at).is_some())
}

/// Reads `blk_N` with an optional `_GS` at the start of `text`, whatever follows; the number and the bytes it took. `None` when there
/// is none.
#[must_use]
pub fn block_number(text: &[u8]) -> Option<(i64, usize)> {
    let (number, length) = long(text.strip_prefix(PREFIX)?)?;
    let end = PREFIX.len() + length;
    Some((number, end + generation_stamp_length(&text[end..])))
}

/// The blocks of one record. See [`blocks`].
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    content: &'a [u8],
    /// What is before this has been looked at.
    at: usize,
    /// Whether there is a pool to look for.
    names_pool: bool,
    /// The pool named last.
    pool: Option<&'a [u8]>,
    /// The first pool of all; looked for once, when an id comes before any.
    pool_behind: Option<Option<&'a [u8]>>,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = NamedBlock<'a>;

    fn next(&mut self) -> Option<NamedBlock<'a>> {
        let content = self.content;
        let found = prefixes(content, self.at).find_map(|at| id(content, at))?;
        if self.names_pool {
            let before = self.at..found.span.start;
            self.pool = found.pool.or_else(|| last_word_pool(content, before)).or(self.pool);
        }
        self.at = found.span.end;
        Some(NamedBlock { pool: self.pool.or_else(|| self.pool_behind()), number: group_or_block(found.number) })
    }
}

impl<'a> Blocks<'a> {
    fn pool_behind(&mut self) -> Option<&'a [u8]> {
        if !self.names_pool {
            return None;
        }
        let (content, from) = (self.content, self.at);
        let find = || {
            let of_id = || prefixes(content, from).find_map(|at| id(content, at)?.pool);
            first_word_pool(content, from..content.len()).or_else(of_id)
        };
        *self.pool_behind.get_or_insert_with(find)
    }
}

/// An id as it stands in a record.
struct Id<'a> {
    number: i64,
    span: Range<usize>,
    /// The pool that it is glued to (`BP-…:blk_1`), or that its path leads through.
    pool: Option<&'a [u8]>,
}

/// What an id begins behind.
#[derive(Default)]
struct Before<'a> {
    /// Whether that is a path, so that the id is the name of a file.
    is_path: bool,
    pool: Option<&'a [u8]>,
}

/// The id that begins at `at`, where [`PREFIX`] stands; `None` when it only looks like one.
fn id(content: &[u8], at: usize) -> Option<Id<'_>> {
    let (number, end) = plain_long(content, at + PREFIX.len())?;
    let end = match content.get(end) {
        Some(b'_') => plain_long(content, end + 1).filter(|(stamp, _)| *stamp >= 0)?.1,
        Some(_) | None => end,
    };
    let Before { is_path, pool } = before(&content[..at])?;
    ends(&content[end..], is_path).then_some(Id { number, span: at..end, pool })
}

/// What the id begins behind; `None` when that makes it part of something else.
fn before(text: &[u8]) -> Option<Before<'_>> {
    match text.split_last() {
        Some((b'/', path)) => storage_folder(path).map(|pool| Before { is_path: true, pool }),
        Some((b':', text)) => Some(Before { is_path: false, pool: glued_pool(text) }),
        Some((byte, _)) if !is_punctuation(*byte) => None,
        Some(_) | None => Some(Before::default()),
    }
}

/// Whether what follows an id leaves it a word of its own. A file of a block may have any extension: `.meta`, `.unlinked`.
fn ends(text: &[u8], is_path: bool) -> bool {
    let Some((first, rest)) = text.split_first() else { return true };
    match first {
        b'.' if is_path => true,
        b'.' if rest.starts_with(b"meta") => is_free(&rest[b"meta".len()..]),
        b'.' | b'-' => rest.first().is_none_or(|byte| is_punctuation(*byte)),
        byte => is_punctuation(*byte),
    }
}

fn is_free(text: &[u8]) -> bool {
    text.first().is_none_or(|byte| is_punctuation(*byte) || *byte == b'.')
}

/// The number at `at` as Java writes a `long`, without needless zeros, and where it ends.
fn plain_long(content: &[u8], at: usize) -> Option<(i64, usize)> {
    let (number, length) = long(&content[at..])?;
    let needless = match &content[at..at + length] {
        [b'0', rest @ ..] => !rest.is_empty(),
        [b'-', b'0', ..] => true,
        _ => false,
    };
    (!needless).then_some((number, at + length))
}

/// The `long` that `text` begins with, and the bytes it took; `None` when there is none, or it has too many digits.
fn long(text: &[u8]) -> Option<(i64, usize)> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let (mut value, mut length) = (0_u64, 0);
    for byte in &text[sign..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if length == DIGITS_MAX {
            return None;
        }
        // DIGITS_MAX digits fit: 10^19 < 2^64.
        value = value * 10 + u64::from(digit);
        length += 1;
    }
    let number = if sign == 1 { 0_i64.checked_sub_unsigned(value)? } else { i64::try_from(value).ok()? };
    (length > 0).then_some((number, sign + length))
}

/// The pool of a path in which a DataNode keeps blocks, if it leads through one; `None` when no DataNode keeps blocks there.
///
/// Going up from the block there are only folders of [`STORAGE_FOLDERS`] and `subdirN` until `current`.
fn storage_folder(path: &[u8]) -> Option<Option<&[u8]>> {
    let mut path = path;
    loop {
        let (above, folder) = parent(path)?;
        if let Some(pool) = pool_folder(folder) {
            return parent(above).is_some_and(|(_, folder)| folder == CURRENT).then_some(Some(pool));
        }
        if folder == CURRENT {
            return Some(parent(above).and_then(|(_, folder)| pool_folder(folder)));
        }
        let is_subdir =
            folder.strip_prefix(b"subdir").is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
        if !is_subdir && !STORAGE_FOLDERS.contains(&folder) {
            return None;
        }
        path = above;
    }
}

/// A path's last folder, and what is above it; `None` when it is the first.
fn parent(path: &[u8]) -> Option<(&[u8], &[u8])> {
    memrchr(b'/', path).map(|slash| (&path[..slash], &path[slash + 1..]))
}

fn pool_folder(folder: &[u8]) -> Option<&[u8]> {
    let is_pool = (POOL_PREFIX.len() + 1..=POOL_BYTES_MAX).contains(&folder.len())
        && folder.starts_with(POOL_PREFIX)
        && folder.iter().all(|b| is_of_pool(*b));
    is_pool.then_some(folder)
}

/// The pool that `text` ends with.
fn glued_pool(text: &[u8]) -> Option<&[u8]> {
    let text = &text[text.len().saturating_sub(POOL_BYTES_MAX)..];
    let start = text.iter().rposition(|byte| !is_of_pool(*byte)).map_or(0, |last| last + 1);
    let run = &text[start..];
    last_pool(run).map(|at| &run[at..]).filter(|pool| pool.len() > POOL_PREFIX.len())
}

/// The last pool that stands as a word of its own in `range`, such as `Deleted BP-… blk_1`.
fn last_word_pool(content: &[u8], range: Range<usize>) -> Option<&[u8]> {
    let mut end = range.end;
    while let Some(found) = last_pool(&content[range.start..end]) {
        end = range.start + found;
        if let Some(pool) = word_pool(content, end) {
            return Some(pool);
        }
    }
    None
}

fn first_word_pool(content: &[u8], range: Range<usize>) -> Option<&[u8]> {
    let hyphens = memchr_iter(b'-', &content[range.clone()]).map(|at| range.start + at);
    let starts = hyphens.filter(|at| content[..=*at].ends_with(POOL_PREFIX)).map(|at| at + 1 - POOL_PREFIX.len());
    starts.filter(|at| *at >= range.start).find_map(|at| word_pool(content, at))
}

/// The pool at `at`, where [`POOL_PREFIX`] stands, if it has the form that a NameNode gives it, `BP-<number>-<address>-<milliseconds>`, and
/// stands alone: files may be called `BP-…` too.
fn word_pool(content: &[u8], at: usize) -> Option<&[u8]> {
    let begins = at == 0 || is_punctuation(content[at - 1]);
    let text = &content[at..content.len().min(at + POOL_BYTES_MAX + 1)];
    let end = text.iter().position(|byte| !is_of_pool(*byte)).unwrap_or(text.len());
    let ends = end <= POOL_BYTES_MAX && text.get(end).is_none_or(|byte| is_punctuation(*byte));
    let length = text[..end].iter().rposition(|byte| !matches!(byte, b':' | b'.' | b'-')).map_or(0, |last| last + 1);
    let pool = &text[..length];
    (begins && ends && has_form_of_pool(pool)).then_some(pool)
}

fn has_form_of_pool(pool: &[u8]) -> bool {
    let Some(parts) = pool.strip_prefix(POOL_PREFIX) else { return false };
    let first = run_of_digits(parts);
    let last = parts.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let address = first + 1..parts.len().saturating_sub(last + 1);
    first > 0 && last > 0 && !address.is_empty() && parts[first] == b'-' && parts[address.end] == b'-'
}

/// The number of the group, for a block of an erasure-coded one; else the number itself.
///
/// HDFS sets the sign of a group and keeps the low four bits for the index of an internal block in it (`HdfsServerConstants`:
/// `BLOCK_GROUP_INDEX_MASK` = 15, `MAX_BLOCKS_IN_GROUP` = 16). Groups are numbered in sequence from the least `long` upwards, while the
/// negative ids of 2008 are random: of those, one in 2^23 lies among the first 2^36 groups, which is 0.03 of the negative half of the
/// 575,061 of HDFS_v1, and the least of 24,301 at hand is 2^47 above. A cluster that makes a hundred groups a second gets to the end of
/// them in 21 years.
fn group_or_block(number: i64) -> i64 {
    if number < i64::MIN + GROUPS_MAX * GROUP_BLOCKS { number & -GROUP_BLOCKS } else { number }
}

fn generation_stamp_length(text: &[u8]) -> usize {
    let Some(digits) = text.strip_prefix(b"_") else { return 0 };
    match run_of_digits(digits) {
        0 => 0,
        length => length + 1,
    }
}

fn run_of_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where [`PREFIX`] stands from `from` on. Looks for its rarest byte: making a searcher for the whole of it takes longer than a line is
/// long.
fn prefixes(content: &[u8], from: usize) -> impl Iterator<Item = usize> {
    let ends = memchr_iter(b'_', &content[from..]).map(move |end| from + end);
    ends.filter(|end| content[..=*end].ends_with(PREFIX)).map(|end| end + 1 - PREFIX.len())
}

/// Where the last [`POOL_PREFIX`] stands that no letter or digit is before, found in the same way.
fn last_pool(text: &[u8]) -> Option<usize> {
    let starts =
        memrchr_iter(b'-', text).filter(|end| text[..=*end].ends_with(POOL_PREFIX)).map(|end| end + 1 - POOL_PREFIX.len());
    starts.into_iter().find(|at| *at == 0 || !text[at - 1].is_ascii_alphanumeric())
}

/// Letters and digits, and what addresses are written with: those of IPv6 have colons.
fn is_of_pool(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':')
}

/// What may stand beside an id without being part of it.
fn is_punctuation(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"()[]{}<>,;:=!?\"'`|*".contains(&byte)
}

const PREFIX: &[u8] = b"blk_";
const POOL_PREFIX: &[u8] = b"BP-";
const CURRENT: &[u8] = b"current";

/// Bytes of a pool's name; Hadoop's have about 60 with an IPv6 address. Longer ones are none, so that no line costs more than its length.
const POOL_BYTES_MAX: usize = 128;

/// Folders between `current` and a block, beside `subdirN` (`DataStorage`, `BlockPoolSlice`). `tmp` and `trash` lie in the pool's folder.
const STORAGE_FOLDERS: [&[u8]; 6] = [b"finalized", b"rbw", b"lazypersist", b"tmp", b"trash", b"previous"];

/// Digits of the longest `long`.
const DIGITS_MAX: usize = 19;

const GROUP_BLOCKS: i64 = 16;
const GROUPS_MAX: i64 = 1 << 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_sentences() {
        check("Receiving block blk_-160 src: /10.2.3.4:5", &[(None, -160)]);
        check("BLOCK* ask 1.2.3.4:5 to delete  blk_-1 blk_2_7, blk_3", &[(None, -1), (None, 2), (None, 3)]);
        check(
            "BLOCK* allocate blk_1_1{UCState=UNDER_CONSTRUCTION, [blk_2_1] (blk_3_1 => blk_3_2)",
            &[(None, 1), (None, 2), (None, 3), (None, 3)],
        );
        check(
            "for blk_1: x=blk_2, \"blk_3\" 'blk_4'. See blk_5. Or blk_6->blk_7!",
            &[(None, 1), (None, 2), (None, 3), (None, 4), (None, 5), (None, 6), (None, 7)],
        );
        check(
            "java.io.IOException: Block blk_8_1 is not valid.\n\tat a.b(C.java:1)\nCaused by: blk_9_1\n",
            &[(None, 8), (None, 9)],
        );
    }

    #[test]
    fn ids_with_pools() {
        check("Receiving BP-76-127.0.0.1-17:blk_1073_1041 src: /1.2.3.4:5", &[(Some("BP-76-127.0.0.1-17"), 1073)]);
        check("BP-a:blk_1 to BP-b:blk_1", &[(Some("BP-a"), 1), (Some("BP-b"), 1)]);
        check("bumpBlockGenerationStamp(BP-7-1.1.1.1-9:blk_1_2, client=x)", &[(Some("BP-7-1.1.1.1-9"), 1)]);
        check(
            "Deleted BP-7-1.1.1.1-9 blk_9_1 URI file:/d/current/BP-7-1.1.1.1-9/current/rbw/blk_9",
            &[(Some("BP-7-1.1.1.1-9"), 9), (Some("BP-7-1.1.1.1-9"), 9)],
        );
        check("BP-7-fe80::1-9:blk_1_2 BP-7-fe80::1-9 blk_2", &[(Some("BP-7-fe80::1-9"), 1), (Some("BP-7-fe80::1-9"), 2)]);
        check("blk_1:blk_2 x:blk_3 JBP-1-1-1:blk_4", &[(None, 1), (None, 2), (None, 3), (None, 4)]);
    }

    #[test]
    fn a_pool_holds_for_the_ids_behind_it_and_the_first_one_for_those_before() {
        check(
            "Scheduling blk_1_2 replica R, blk_1_2\n  file:/d/current/BP-a/current/finalized/subdir0/subdir1/blk_1 x",
            &[(Some("BP-a"), 1), (Some("BP-a"), 1), (Some("BP-a"), 1)],
        );
        check(
            "blk_1 of BP-1-a-2, then blk_2, BP-b:blk_3 blk_4",
            &[(Some("BP-1-a-2"), 1), (Some("BP-1-a-2"), 2), (Some("BP-b"), 3), (Some("BP-b"), 4)],
        );
    }

    #[test]
    fn words_that_only_look_like_pools() {
        for text in ["/user/BP-1-a-2/x", "BP-2019", "BP-1-a-2x", "BP-1-a-2/x", "XBP-1-a-2", "BP--a-2", "BP-1--", "BP-1-2", "BP-"]
        {
            check(&format!("{text} blk_1 {text}"), &[(None, 1)]);
        }
    }

    #[test]
    fn the_bounds_of_a_pool() {
        for (length, found) in [(POOL_BYTES_MAX - 1, true), (POOL_BYTES_MAX, true), (POOL_BYTES_MAX + 1, false)] {
            let pool = format!("BP-1-{}-2", "a".repeat(length - 7));
            let expected = found.then_some(pool.as_str());
            check(&format!("{pool}:blk_1"), &[(expected, 1)]);
            check(&format!("{pool} blk_1"), &[(expected, 1)]);
            check(&format!("/d/current/{pool}/current/rbw/blk_1"), &[(expected, 1)]);
        }
    }

    #[test]
    fn text_that_only_looks_like_an_id() {
        for text in [
            "myblk_12",
            "my_blk_12",
            "my-blk_12",
            "x.blk_12",
            "$blk_12",
            "ablk_1",
            "éblk_1",
            "blk_12x",
            "blk_12_x",
            "blk_12_3x",
            "blk_1_2_3",
            "blk_12_",
            "blk_1-2",
            "blk_1é",
            "blk_1.txt",
            "blk_1.2",
            "blk_1.metadata",
            "blk_1/part-0",
            "blk_",
            "blk_-",
            "blk_x",
            "blk_--1",
            "BLK_1",
            "blk_+1",
            "blk_01",
            "blk_-0",
            "blk_1_01",
            "blk_-1_-2",
            "blk 1",
        ] {
            check(&format!("a {text} b"), &[]);
            check(text, &[]);
        }
    }

    #[test]
    fn the_bounds_of_a_number() {
        check("blk_0 blk_9223372036854775807 blk_1_9223372036854775807", &[(None, 0), (None, i64::MAX), (None, 1)]);
        check("blk_9223372036854775808 blk_99999999999999999999 blk_-9223372036854775809 blk_1_9223372036854775808", &[]);
    }

    #[test]
    fn files_are_blocks_where_a_data_node_keeps_blocks() {
        for (folder, pool) in [
            ("/data/dn/current/BP-7-1.1.1.1-9/current/finalized/subdir0/subdir31", Some("BP-7-1.1.1.1-9")),
            ("file:/data/dn/current/BP-7-1.1.1.1-9/current/rbw", Some("BP-7-1.1.1.1-9")),
            ("[DISK]file:/d/current/BP-7-1.1.1.1-9/tmp", Some("BP-7-1.1.1.1-9")),
            ("/d/current/BP-7-1.1.1.1-9/trash/finalized/subdir1", Some("BP-7-1.1.1.1-9")),
            ("/mnt/hadoop/dfs/data/current/subdir40/subdir7", None),
            ("/mnt/hadoop/dfs/data/current", None),
        ] {
            for name in ["blk_-12", "blk_-12_1001.meta", "blk_-12_1001.meta_tmp1002", "blk_-12.unlinked"] {
                check(&format!("file={folder}/{name}, x"), &[(pool, -12)]);
            }
        }
    }

    #[test]
    fn files_elsewhere_are_files() {
        for path in [
            "/user/x/blk_12",
            "/blk_12",
            "a/blk_12",
            "/user/x/blk_12/part-0",
            "/tmp/blk_12",
            "/user/subdir1/blk_12",
            "/user/finalized/blk_12",
            "/user/current/x/blk_12",
            "/user/BP-1-a-2/blk_12",
            "/user/current/subdirx/blk_12",
            "hdfs://nn:8020/blk_12_1.meta",
        ] {
            check(&format!("BLOCK* allocate blk_1_1 for {path}"), &[(None, 1)]);
        }
    }

    #[test]
    fn blocks_of_a_group_are_of_the_group() {
        let least = i64::MIN;
        check("blk_-9223372036854775792_1 blk_-9223372036854775791_1 blk_-9223372036854775777_1", &[(None, least + 16); 3]);
        let last = least + GROUPS_MAX * GROUP_BLOCKS;
        for (number, group) in [
            (least, least),
            (least + 15, least),
            (least + 16, least + 16),
            (last - 1, last - 16),
            (last, last),
            (last + 1, last + 1),
            (-1_608_999_687_919_862_906, -1_608_999_687_919_862_906),
            (-1, -1),
            (1_073_741_825, 1_073_741_825),
        ] {
            check(&format!("blk_{number}_7"), &[(None, group)]);
        }
    }

    #[test]
    fn a_block_number_for_masks_is_read_whatever_follows() {
        for (text, expected) in
            [("blk_-12_7x", Some((-12, 9))), ("blk_12_x", Some((12, 6))), ("blk_007", Some((7, 7))), ("blk_x", None)]
        {
            assert_eq!(block_number(text.as_bytes()), expected, "{text}");
        }
    }

    fn check(content: &str, expected: &[(Option<&str>, i64)]) {
        let found: Vec<_> = blocks(content.as_bytes())
            .map(|block| (block.pool.map(|pool| std::str::from_utf8(pool).expect("test input is text")), block.number))
            .collect();
        assert_eq!(found, expected, "{content}");
        assert_eq!(names_block(content.as_bytes()), !expected.is_empty(), "{content}");
    }
}

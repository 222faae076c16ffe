//! Finds the blocks that a record names.

use memchr::{memchr_iter, memrchr_iter};

/// A block as a record names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlock<'a> {
    /// `BP-…`, when the record names a pool before the block.
    pub pool: Option<&'a [u8]>,
    /// The number; negative ones occur.
    pub number: i64,
}

/// The blocks that `content` names, in order, repeats included.
pub fn blocks(content: &[u8]) -> impl Iterator<Item = NamedBlock<'_>> {
    let mut pool = None;
    let mut pool_scanned = 0;
    prefixes(content).filter_map(move |at| {
        let (number, _) = block_number(&content[at..])?;
        if let Some(found) = last_pool(&content[pool_scanned..at]) {
            pool = Some(pool_at(&content[pool_scanned + found..at]));
        }
        pool_scanned = at;
        Some(NamedBlock { pool, number })
    })
}

/// Whether `content` has the look of a block anywhere: the cheap test before [`blocks`].
#[must_use]
pub fn names_block(content: &[u8]) -> bool {
    prefixes(content).next().is_some()
}

/// Reads `blk_N` with an optional `_GS` at the start of `text`; the number and the bytes it took. `None` when it is no block id.
#[must_use]
pub fn block_number(text: &[u8]) -> Option<(i64, usize)> {
    let digits = text.strip_prefix(PREFIX)?;
    let negative = digits.first() == Some(&b'-');
    let digits = &digits[usize::from(negative)..];
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=19).contains(&length) {
        return None;
    }
    // 19 digits fit: 10^19 < 2^64.
    let value = digits[..length].iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let number = if negative { 0_i64.checked_sub_unsigned(value)? } else { i64::try_from(value).ok()? };
    let stamp = generation_stamp_length(&digits[length..]);
    Some((number, PREFIX.len() + usize::from(negative) + length + stamp))
}

fn generation_stamp_length(text: &[u8]) -> usize {
    let Some(digits) = text.strip_prefix(b"_") else { return 0 };
    match digits.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => 0,
        length => length + 1,
    }
}

/// Where [`PREFIX`] stands. Looks for its rarest byte: making a searcher for the whole of it takes longer than a line is long.
fn prefixes(content: &[u8]) -> impl Iterator<Item = usize> {
    memchr_iter(b'_', content).filter(|end| content[..=*end].ends_with(PREFIX)).map(|end| end + 1 - PREFIX.len())
}

/// Where the last `BP-` stands, found in the same way.
fn last_pool(text: &[u8]) -> Option<usize> {
    memrchr_iter(b'-', text).find(|end| text[..*end].ends_with(b"BP")).map(|end| end - 2)
}

fn pool_at(text: &[u8]) -> &[u8] {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')).count();
    &text[..length]
}

const PREFIX: &[u8] = b"blk_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_and_without_pools() {
        check_blocks("Receiving BP-76-127.0.0.1-17:blk_1073_1041 src: /1.2.3.4:5", &[(Some("BP-76-127.0.0.1-17"), 1073)]);
        check_blocks("Deleted BP-1 blk_9_1 URI file:/d/BP-1/current/blk_9", &[(Some("BP-1"), 9), (Some("BP-1"), 9)]);
        check_blocks("BLOCK* ask 1.2.3.4:5 to delete  blk_-1 blk_2_7, blk_3", &[(None, -1), (None, 2), (None, 3)]);
        check_blocks("BP-a:blk_1 to BP-b:blk_1", &[(Some("BP-a"), 1), (Some("BP-b"), 1)]);
    }

    #[test]
    fn the_bounds_of_a_block_number() {
        check_blocks("blk_9223372036854775807 blk_-9223372036854775808", &[(None, i64::MAX), (None, i64::MIN)]);
        check_blocks("blk_9223372036854775808 blk_99999999999999999999 blk_ blk_- blk_x", &[]);
    }

    fn check_blocks(content: &str, expected: &[(Option<&str>, i64)]) {
        let found: Vec<_> = blocks(content.as_bytes())
            .map(|block| (block.pool.map(|pool| std::str::from_utf8(pool).expect("test input is text")), block.number))
            .collect();
        assert_eq!(found, expected, "{content}");
    }
}

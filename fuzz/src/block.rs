//! Block ids: what is found stands in the text, what surely is one is found, and the words of a text do not change each other's.

use std::collections::BTreeSet;

use crate::input::expand;
use crate::pipeline::event::block::{NamedBlock, block_number, blocks, names_block};

/// The bytes are what a record says.
pub fn check(data: &[u8]) {
    let content = expand(data, RECORD_BYTES);
    let found: Vec<NamedBlock<'_>> = blocks(&content).collect();
    assert_eq!(names_block(&content), !found.is_empty());
    assert!(found.len() <= memchr::memmem::find_iter(&content, "blk_").count());
    found.iter().for_each(|block| check_block(&content, block));
    let numbers: Vec<i64> = found.iter().map(|block| block.number).collect();
    let of_words = words(&content).flat_map(|word| blocks(word).map(|block| block.number));
    assert_eq!(numbers, of_words.collect::<Vec<_>>(), "a word's blocks are the same whatever words are beside it");
    let numbers: BTreeSet<i64> = numbers.into_iter().collect();
    for number in words(&content).filter_map(surely_block) {
        assert!(numbers.contains(&number), "blk_{number} is found");
    }
}

fn check_block(content: &[u8], block: &NamedBlock<'_>) {
    let text = format!("blk_{}", block.number);
    assert_eq!(block_number(text.as_bytes()), Some((block.number, text.len())));
    assert!(is_group(block.number) || memchr::memmem::find(content, text.as_bytes()).is_some(), "{text} stands in the text");
    if let Some(pool) = block.pool {
        assert!(pool.len() > 3 && pool.starts_with(b"BP-") && !pool.contains(&b' '));
        assert!(content.as_ptr_range().start <= pool.as_ptr() && pool.as_ptr_range().end <= content.as_ptr_range().end);
    }
}

/// The number of a word that is an id and nothing else but brackets and the like, none of an erasure-coded group.
fn surely_block(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?.trim_matches(|c| "()[]{},;\"'".contains(c)).strip_prefix("blk_")?;
    let (number, stamp) = text.split_once('_').map_or((text, None), |(number, stamp)| (number, Some(stamp)));
    let read = |text: &str| text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    let number = read(number).filter(|number| !is_group(*number))?;
    stamp.is_none_or(|stamp| read(stamp).is_some_and(|stamp| stamp >= 0)).then_some(number)
}

/// Among the first groups of an erasure-coded cluster: their blocks have the number of the group.
fn is_group(number: i64) -> bool {
    number < i64::MIN + (1 << 40)
}

fn words(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(u8::is_ascii_whitespace)
}

/// Enough for thousands of ids; longer records differ from these in nothing.
const RECORD_BYTES: usize = 16_384;

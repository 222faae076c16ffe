//! Words that tell: where two messages differ by words of letters alone, they may say opposite things.
//!
//! `Interrupted.` and `terminating` at one position of one sentence are two sentences; the ninth such word (a user's name, mostly)
//! shows that the position holds a value. Numbers, paths, addresses and whatever else has a digit, a dot or a slash are values anyway.

use crate::pipeline::event::template::words::Words;

/// The positions at which both have a word that tells, and not the same one.
pub fn conflicts<'a>(own: &'a Words, words: &'a Words) -> impl Iterator<Item = usize> + 'a {
    let pairs = own.iter().zip(words.iter()).enumerate();
    pairs.filter(|(_, (own, word))| own != word && tells(own) && tells(word)).map(|(position, _)| position)
}

/// How many different words that tell stand at a position of `words` and of those similar to it.
pub fn distinct(similar: &[&Words], words: &Words, position: usize) -> usize {
    let mut found: Vec<&[u8]> = similar.iter().map(|own| own.get(position)).filter(|word| tells(word)).collect();
    found.push(words.get(position));
    found.sort_unstable();
    found.dedup();
    found.len()
}

/// Whether a word is of letters, with `_`, `-` or `=` between them and punctuation around, and no part of a date.
fn tells(word: &[u8]) -> bool {
    let is_around = |byte: &u8| b".,;:!?()[]{}'\"".contains(byte);
    let Some(start) = word.iter().position(|byte| !is_around(byte)) else { return false };
    let end = word.iter().rposition(|byte| !is_around(byte)).map_or(start, |last| last + 1);
    let inner = &word[start..end];
    let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    letter(inner.first())
        && letter(inner.last())
        && inner.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'='))
        && !CALENDAR.contains(&inner)
}

/// Dates are values, also where Java writes them as `Sun Jul 10 03:55:15 UTC 2005`.
const CALENDAR: [&[u8]; 19] = [
    b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun", b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug",
    b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_words_tell() {
        for word in ["Interrupted.", "terminating", "(failed)", "type=LAST_IN_PIPELINE,", "HDFS_READ,", "read-only", "'x'"] {
            assert!(tells(word.as_bytes()), "{word}");
        }
        for word in
            ["", ".", "<*>", "<*>,", "a1", "/a", "a/b", "java.io.IOException:", "uid=", "-x", "hôte", "a:b", "Sun", "Jul,"]
        {
            assert!(!tells(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn where_messages_say_different_things() {
        for (own, message, expected) in [
            ("a was read", "a was written", &[2][..]),
            ("a was read", "a was read", &[]),
            ("a was <*>", "a was written", &[]),
            ("a1 was read", "a2 is read", &[1]),
            ("a1 was read", "b is read", &[1]),
        ] {
            let (own, words) = (Words::from(own.as_bytes()), Words::from(message.as_bytes()));
            assert_eq!(conflicts(&own, &words).collect::<Vec<_>>(), expected, "{own:?} {message}");
        }
    }
}

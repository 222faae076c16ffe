//! Templates: a message keeps its template and its token, and what is of the vocabulary never widens.

use crate::input::expand;
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_WORDS_MAX};
use crate::pipeline::event::template::Templates;
use crate::pipeline::event::{TemplateId, Token};
use crate::pipeline::profile::{DrainSettings, FIRST_EVENT, Profile, UNKNOWN, VocabularyEntry};

/// Lines up to an empty one are the texts of a vocabulary, the others are messages.
pub fn check(data: &[u8]) {
    let text = expand(data, TEXT_BYTES);
    let mut lines = text.split(|byte| *byte == b'\n');
    let texts = lines.by_ref().take_while(|line| !line.is_empty()).take(VOCABULARY_TEXTS);
    let profile = profile(texts.map(vocabulary_text).collect());
    let messages: Vec<&[u8]> = lines.take(MESSAGES).collect();
    let found = find_all(&profile, &messages);
    assert!(find_all(&profile, &messages) == found, "the same messages, the same templates");
}

/// The templates of messages that come in this order, each of which comes twice.
fn find_all(profile: &Profile, messages: &[&[u8]]) -> Vec<(TemplateId, Token)> {
    let mut templates = Templates::new(profile).expect("its masks are known");
    let mut pinned: Vec<(TemplateId, String)> = Vec::new();
    let mut find = |message: &&[u8]| {
        let (id, token) = templates.find(message);
        let text = templates.text(id).expect("a template just found is there");
        check_text(&text);
        assert_eq!(templates.find(message), (id, token), "the same message, the same template");
        if token != UNKNOWN {
            assert!(usize::from(token.0 - FIRST_EVENT) < profile.vocabulary.len());
            pinned.push((id, text));
        }
        (id, token)
    };
    let found = messages.iter().map(&mut find).collect();
    for (id, text) in pinned {
        assert_eq!(templates.text(id), Some(text), "what is of the vocabulary never widens");
    }
    assert!(templates.len() <= 2 * messages.len());
    found
}

/// As long as a message may be: a wildcard may stand for one byte, and a byte that is no text is shown as three.
fn check_text(text: &str) {
    assert!(
        text.split(' ').count() <= MESSAGE_WORDS_MAX + EXCEPTION_WORDS && text.len() <= 3 * MESSAGE_BYTES_MAX + EXCEPTION_BYTES
    );
    assert!(!text.contains('\n'));
}

fn profile(vocabulary: Vec<String>) -> Profile {
    let entry = |text| VocabularyEntry { text, begins: false, endless_buckets_max: None };
    let mut profile = Profile::without_vocabulary(DrainSettings::hdfs());
    profile.vocabulary = vocabulary.into_iter().map(entry).collect();
    profile
}

/// The text of a model is short and has few wildcards, and comes from whoever runs the program.
fn vocabulary_text(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(VOCABULARY_TEXT_BYTES)]).into_owned();
    let end = text.match_indices("<*>").nth(VOCABULARY_TEXT_WILDCARDS).map(|(at, _)| at);
    text[..end.unwrap_or(text.len())].to_owned()
}

const VOCABULARY_TEXTS: usize = 16;
const VOCABULARY_TEXT_BYTES: usize = 200;
const VOCABULARY_TEXT_WILDCARDS: usize = 8;
const MESSAGES: usize = 64;

/// Enough for some messages beyond their bound.
const TEXT_BYTES: usize = 16_384;

/// The class of an exception may be a word of its own.
const EXCEPTION_WORDS: usize = 1;
const EXCEPTION_BYTES: usize = 1024;

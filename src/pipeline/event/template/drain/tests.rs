//! Drain as the reference has it, and what it does beyond: words that tell, ids that keep their meaning, bounds.

use super::*;
use crate::pipeline::event::template::mask::{Masks, Reader};

#[test]
fn similar_messages_share_a_template_that_widens() {
    check_reference(&["open alpha for read", "open beta for read"], &["open <*> for read"]);
    check_reference(&["open alpha", "close alpha", "open alpha now"], &["open alpha", "close alpha", "open alpha now"]);
    check_reference(&["node1 went down today", "node2 went down today"], &["<*> went down today"]);
}

#[test]
fn a_message_without_words_is_a_message() {
    check_reference(&["", ""], &[""]);
    check(&["", ""], &[""]);
}

#[test]
fn the_reference_makes_a_new_cluster_of_what_is_mostly_wildcards() {
    check_reference(&["<*> <*> up", "<*> <*> up"], &["<*> <*> up", "<*> <*> up"]);
    check(&["<*> <*> up", "<*> <*> up"], &["<*> <*> up"]);
}

#[test]
fn of_equally_similar_clusters_the_one_with_more_wildcards_is_taken() {
    check_reference(&["x a b c", "x m n o", "x m n p", "x a n q"], &["x a b c", "x <*> n <*>"]);
}

#[test]
fn a_failure_is_not_hidden_in_its_success() {
    let [stopped, done] = ["PacketResponder <*> for block <*> Interrupted.", "PacketResponder <*> for block <*> terminating"];
    check_reference(&[done, stopped], &["PacketResponder <*> for block <*> <*>"]);
    check(&[done, stopped, done, stopped], &[done, stopped]);
}

#[test]
fn values_widen_while_words_that_tell_stay() {
    check(
        &["open a1 was good", "open a2 was good", "open a3 was bad", "open a4 was good", "open a5 was bad"],
        &["open <*> was good", "open <*> was bad"],
    );
}

#[test]
fn with_one_word_more_a_position_holds_a_value_and_takes_in_what_was_kept_apart() {
    for (count, expected) in [(7, 7), (8, 8), (9, 1), (10, 1)] {
        let (mut drain, mut log) = (drain(), Log::new());
        let ids: Vec<TemplateId> =
            (0..count).map(|n| drain.learn(&words(&format!("user {} came in", letters(n))), &mut log).id).collect();
        assert_eq!(drain.len(), expected, "{count} users");
        let newest: Vec<TemplateId> = ids.iter().map(|id| drain.newest(*id)).collect();
        for (n, (id, newest)) in ids.iter().zip(&newest).enumerate().take(8) {
            assert_eq!(drain.text(*id).as_deref(), Some(format!("user {} came in", letters(n)).as_str()));
            assert_eq!(drain.text(*newest).as_deref() == Some("user <*> came in"), expected == 1);
        }
    }
}

#[test]
fn an_id_keeps_its_meaning() {
    let (mut drain, mut log) = (drain(), Log::new());
    let first = drain.learn(&words("open a1 for read2"), &mut log);
    let second = drain.learn(&words("open a2 for read2"), &mut log);
    let third = drain.learn(&words("open a3 for read3"), &mut log);
    let fourth = drain.learn(&words("open a4 for read4"), &mut log);
    assert_eq!((first.new, second.new, third.new, fourth.new), (true, false, false, false));
    assert_eq!((first.replaced, second.replaced.clone(), third.replaced.clone()), (vec![], vec![first.id], vec![second.id]));
    assert_eq!((fourth.id, fourth.replaced), (third.id, vec![]));
    for (id, text) in [(first.id, "open a1 for read2"), (second.id, "open <*> for read2"), (third.id, "open <*> for <*>")] {
        assert_eq!(drain.text(id).as_deref(), Some(text));
        assert_eq!(drain.newest(id), third.id);
    }
}

#[test]
fn the_least_recently_used_is_dropped_at_the_bound() {
    for (count, dropped) in [(TEMPLATES - 1, 0), (TEMPLATES, 0), (TEMPLATES + 1, 1), (TEMPLATES + 2, 2)] {
        let (mut drain, mut log) = (drain(), Log::new());
        let ids: Vec<TemplateId> = (0..count)
            .map(|n| {
                drain.learn(&words("keep this here"), &mut log);
                drain.learn(&words(&format!("{} {}", letters(n), letters(n * 7 + 1))), &mut log).id
            })
            .collect();
        // One place is the kept one's.
        let dropped = (dropped + 1).min(count + 1 - drain.len());
        assert_eq!(drain.len(), TEMPLATES.min(count + 1));
        assert_eq!(drain.evicted(), dropped as u64);
        assert!(ids.iter().zip(0..).all(|(id, n)| drain.slot(*id).is_none() == (n < dropped)), "{count}");
        assert!(!drain.learn(&words("keep this here"), &mut log).new);
        assert_eq!(drain.text(ids[0]), Some(format!("{} {}", letters(0), letters(1))), "a dropped one is still quoted");
    }
}

#[test]
fn any_number_of_distinct_messages_leaves_it_as_large_as_it_may_be() {
    let (mut drain, mut log) = (drain(), Log::new());
    for n in 0..20_000 {
        drain.learn(&words(&format!("{} x {} y{}", letters(n), letters(n * 3), " z".repeat(n % 90))), &mut log);
        drain.learn(&words(&format!("common {} words {n}", letters(n / 2))), &mut log);
    }
    assert_eq!(drain.len(), TEMPLATES);
    assert_eq!(drain.clusters.len(), TEMPLATES);
    assert!(drain.tree.len() <= 2 * TEMPLATES, "{} nodes", drain.tree.len());
    assert!(drain.forgotten() > 0 && drain.whole().retired.len() == RETIRED);
}

#[test]
fn ids_come_round_and_pass_over_those_in_use() {
    let (mut drain, mut log) = (drain(), Log::new());
    let first = drain.learn(&words("the first"), &mut log).id;
    drain.next = u32::MAX;
    let ids: Vec<u32> = ["a", "b c", "d e f"].map(|text| drain.learn(&words(text), &mut log).id.0).to_vec();
    assert_eq!((first.0, ids), (FIRST, vec![u32::MAX, FIRST + 1, FIRST + 2]));
}

#[test]
fn what_was_logged_gives_the_same_again() {
    for seed in 0..20 {
        let (mut drain, mut log) = (drain(), Log::new());
        log.take();
        let mut again = drain.clone();
        let mut random = seed * 977 + 1;
        for round in 0..30 {
            for _ in 0..40 {
                drain.learn(&random_message(&mut random), &mut log);
            }
            for op in log.take().expect("they are few") {
                again.apply(&op).expect("it follows");
            }
            for id in drain.take_used() {
                again.apply_used(id).expect("it is there");
            }
            assert_eq!(again.whole(), drain.whole(), "seed {seed} round {round}");
            let mut filled = self::drain();
            filled.fill(&drain.whole()).expect("it is a Drain's");
            let next = random_message(&mut random);
            assert_eq!(filled.clone().learn(&next, &mut Log::new()), drain.clone().learn(&next, &mut Log::new()));
            assert_eq!(filled.whole(), drain.whole());
            drain = filled;
        }
    }
}

#[test]
fn what_does_not_follow_is_refused() {
    let (mut drain, mut log) = (drain(), Log::new());
    let id = drain.learn(&words("a b"), &mut log).id;
    let (other, words) = (TemplateId(id.0 + 7), words("a b"));
    let before = drain.whole();
    for op in [
        Op::Added(Mined { id, route: 0, words: words.clone() }),
        Op::Widened { from: other, id: TemplateId(id.0 + 8), words: words.clone() },
        Op::Widened { from: id, id, words: words.clone() },
        Op::Merged { from: id, into: id },
        Op::Merged { from: id, into: other },
        Op::Merged { from: other, into: id },
        Op::Dropped { id: other },
    ] {
        assert_eq!(drain.apply(&op), None, "{op:?}");
        assert_eq!(drain.whole(), before, "{op:?}");
    }
    assert_eq!(drain.apply_used(other), None);
}

const FIRST: u32 = 1000;
const TEMPLATES: usize = 60;
const RETIRED: usize = 80;

fn drain() -> Drain {
    Drain::new(&DrainSettings::hdfs(), bounds())
}

fn bounds() -> Bounds {
    Bounds { first_id: FIRST, templates_max: TEMPLATES, retired_max: RETIRED }
}

/// Which templates the daemon makes of these messages.
fn check(messages: &[&str], expected: &[&str]) {
    check_with(&DrainSettings::hdfs(), messages, expected);
}

/// Which templates the reference makes of them.
fn check_reference(messages: &[&str], expected: &[&str]) {
    check_with(&DrainSettings::reference(), messages, expected);
}

fn check_with(settings: &DrainSettings, messages: &[&str], expected: &[&str]) {
    let (mut drain, mut log) = (Drain::new(settings, bounds()), Log::new());
    for message in messages {
        drain.learn(&words(message), &mut log);
    }
    let found: Vec<String> =
        drain.whole().clusters.iter().map(|mined| String::from_utf8_lossy(mined.words.text()).into_owned()).collect();
    assert_eq!(found, expected, "{messages:?}");
}

fn words(message: &str) -> Words {
    let mut reader = Reader::new(Masks::NONE);
    reader.read(message.as_bytes());
    reader.words().clone()
}

/// Short sentences of few words, so that they meet, widen, merge, and drop out.
fn random_message(random: &mut u64) -> Words {
    let mut draw = |below: u64| {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*random >> 33) % below
    };
    let length = 1 + draw(5);
    let text: Vec<String> =
        (0..length).map(|_| if draw(4) == 0 { format!("v{}", draw(50)) } else { letters(draw(12) as usize) }).collect();
    words(&text.join(" "))
}

fn letters(mut n: usize) -> String {
    let mut text = String::new();
    loop {
        text.push(char::from(b'a' + (n % 26) as u8));
        n /= 26;
        if n == 0 {
            return text;
        }
    }
}

//! What a crash, a bad disk or a hand does to the files of a state directory: the alerts stay the same, or the start says what is wrong
//! and what mends it.

use std::fs;
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::vigil::{Place, append, story_lines};

#[test]
fn a_torn_newest_file_costs_no_alert() {
    check("torn", |journal, random| {
        let newest = journal.last().unwrap();
        let length = fs::metadata(newest).unwrap().len();
        fs::File::options().write(true).open(newest).unwrap().set_len(random.random_range(0..length)).unwrap();
    });
}

#[test]
fn a_garbled_newest_file_costs_no_alert() {
    check("garbled", |journal, random| {
        let newest = journal.last().unwrap();
        let mut bytes = fs::read(newest).unwrap();
        let at = random.random_range(0..bytes.len());
        let end = bytes.len().min(at + 512);
        bytes[at..end].fill(0);
        fs::write(newest, bytes).unwrap();
    });
}

#[test]
fn a_newest_file_that_is_gone_costs_no_alert() {
    check("gone", |journal, _| fs::remove_file(journal.last().unwrap()).unwrap());
}

#[test]
fn files_that_were_swapped_are_noticed() {
    let place = place();
    let journal = place.journal();
    let [.., before, newest] = &journal[..] else { panic!("there are two generations: {journal:?}") };
    let aside = place.path("aside");
    fs::rename(before, &aside).unwrap();
    fs::rename(newest, before).unwrap();
    fs::rename(&aside, newest).unwrap();
    refuses(&place, "under another name; move the state directory away to start afresh");
}

#[test]
fn a_state_of_nothing_but_damage_is_refused() {
    let place = place();
    for path in place.journal() {
        fs::write(path, [0; 4096]).unwrap();
    }
    refuses(&place, "is damaged: it does not begin like a journal; move the state directory away to start afresh");
}

#[test]
fn a_state_of_a_newer_version_is_refused() {
    let place = place();
    for path in place.journal() {
        let mut bytes = fs::read(&path).unwrap();
        bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
        fs::write(path, bytes).unwrap();
    }
    refuses(&place, "has format 99");
}

/// Spoils the state of a daemon that was killed; another one goes on from what is left, and tells what an undisturbed one tells.
fn check(how: &str, spoil: impl Fn(&[PathBuf], &mut ChaCha8Rng)) {
    let place = place();
    let rest = story_lines(600).split_off(2800);
    append(&place.logs().join("dn1.log"), &rest);
    let expected = place.undisturbed();
    let kept = place.path("kept");
    copy(&place.path("state"), &kept);
    for seed in 0..4 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        fs::remove_dir_all(place.path("state")).unwrap();
        copy(&kept, &place.path("state"));
        spoil(&place.journal(), &mut random);
        let vigil = place.start();
        place
            .wait_for(&format!("all alerts after the newest file was {how}, seed {seed}"), |place| place.alert_ids() == expected);
        vigil.kill();
    }
}

/// A place whose daemon was killed after it had written its state over several generations.
fn place() -> Place {
    let place = Place::new("");
    let lines = story_lines(600);
    let log = place.logs().join("dn1.log");
    // Every start begins a segment, and a state this small is written again as a whole within a few checkpoints.
    for lines in lines[..2800].chunks(700) {
        append(&log, lines);
        let before = place.journal();
        let vigil = place.start();
        place.wait_for("a generation", |place| place.journal().last() > before.last() && is_read(place));
        vigil.kill();
    }
    assert!(place.journal().len() >= 2, "{:?}", place.journal());
    place
}

/// Whether some checkpoints were written since the logs were read.
fn is_read(place: &Place) -> bool {
    let journal = place.journal();
    let newest = || fs::metadata(journal.last().unwrap()).map_or(0, |metadata| metadata.len());
    let before = newest();
    crate::vigil::pause(400);
    newest() > before
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().flatten() {
        // The control socket is made anew.
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

fn refuses(place: &Place, why: &str) {
    let config = place.path("vigil.toml").display().to_string();
    let (code, _, complaint) = place.run(&["run", "--config", &config]);
    assert_eq!(code, Some(73), "{complaint}");
    assert!(complaint.contains(why), "{complaint}");
}

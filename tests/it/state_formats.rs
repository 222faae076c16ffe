//! A state that a former version has written is gone on from: of every format that was released there is one in `tests/state`, and this
//! version's own is in the format that it says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hdfs_vigil::state::journal::FORMAT_VERSION;

use crate::vigil::{Place, append, story_lines};

#[test]
fn the_state_of_every_released_version_is_gone_on_from() {
    let mut formats: Vec<PathBuf> = fs::read_dir(states()).unwrap().map(|entry| entry.unwrap().path()).collect();
    formats.sort();
    for format in formats {
        let place = place();
        fs::create_dir(place.path("state")).unwrap();
        for file in fs::read_dir(&format).unwrap().flatten() {
            fs::copy(file.path(), place.path("state").join(file.file_name())).unwrap();
        }
        append(&place.logs().join("dn1.log"), &story_lines(BLOCKS));
        let expected = place.undisturbed();
        let told_before = told(&format);
        assert!(told_before.len() > 3 && told_before.is_subset(&expected), "{told_before:?}");
        let vigil = place.start();
        let all = |place: &Place| place.alert_ids().union(&told_before).cloned().collect::<BTreeSet<_>>() == expected;
        place.wait_for(&format!("what the state of {} leaves to be told", format.display()), all);
        assert!(vigil.stop().success());
        // Had it begun afresh, it would have told all of them.
        let again = place.alert_ids().intersection(&told_before).count();
        assert!(again <= 1, "{}: {again} alerts were told again", format.display());
    }
}

#[test]
fn this_version_writes_the_format_that_is_kept_of_it() {
    let kept = states().join(format!("format-{FORMAT_VERSION}"));
    if !kept.exists() {
        panic!("keep {} as {}, so that later versions are held to read it", write().display(), kept.display());
    }
}

/// Writes the state of this version, half-way through some stories.
fn write() -> PathBuf {
    let place = place();
    append(&place.logs().join("dn1.log"), &story_lines(BLOCKS)[..LINES_BEFORE]);
    let vigil = place.start();
    place.wait_for("what is told half-way", |place| place.alerts().len() > 3);
    assert!(vigil.stop().success());
    let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("format-{FORMAT_VERSION}"));
    let _ = fs::remove_dir_all(&written);
    fs::create_dir_all(&written).unwrap();
    for path in place.journal() {
        fs::copy(&path, written.join(path.file_name().unwrap())).unwrap();
    }
    let told: String = place.alert_ids().iter().map(|id| format!("{id}\n")).collect();
    fs::write(written.join(TOLD), told).unwrap();
    written
}

/// The ids of the alerts that were told before.
fn told(format: &Path) -> BTreeSet<String> {
    fs::read_to_string(format.join(TOLD)).unwrap().lines().map(str::to_owned).collect()
}

/// One whose paths are the same wherever it is.
fn place() -> Place {
    let place = Place::new("");
    place.configure("[ingest]\npaths = [\"logs\"]\n");
    place
}

fn states() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state")
}

/// The ids of the alerts that were told before, beside the journal.
const TOLD: &str = "told.txt";

const BLOCKS: u64 = 80;
const LINES_BEFORE: usize = 500;

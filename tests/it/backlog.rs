//! A backlog of any size is worked off in flat memory. `HDFS_VIGIL_BACKLOG_MB` says how large, as `scripts/test --all` does.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::site::{LISTEN, metric};
use crate::vigil::Place;

#[test]
fn a_backlog_is_worked_off_in_flat_memory() {
    let megabytes = std::env::var("HDFS_VIGIL_BACKLOG_MB").map_or(300, |text| text.parse::<u64>().unwrap());
    let place = Place::new("");
    place.configure(&format!(
        "[pipeline]\nsession_bytes_max = \"4MB\"\n[state]\ncheckpoint_interval = \"5s\"\n[alerts]\nlog = false\n{LISTEN}"
    ));
    let bytes = write(&place.logs().join("dn1.log"), megabytes * 1_000_000);
    let vigil = place.start();
    let mut peaks = Vec::new();
    for percent in [20, 60, 100] {
        let wanted = (bytes * percent / 100) as f64;
        place.wait_as_long_as_it_moves(
            &format!("{percent} % of the backlog"),
            |place| metric(place, "bytes_total").unwrap_or(0.0),
            |read| read >= wanted,
        );
        peaks.push(vigil.peak_bytes());
    }
    println!("{bytes} bytes; peak memory in bytes at 20, 60 and 100 %: {peaks:?}");
    assert!(peaks[2] < MEMORY_BYTES_MAX, "memory grows with the backlog: {peaks:?}");
    assert_eq!(metric(&place, "lag_bytes"), Some(0.0));
    assert_eq!(metric(&place, "unread_age_seconds"), Some(0.0));
    assert!(vigil.stop().success());
}

/// What the daemon takes for itself, the model, 4 MB of sessions and the changes between two checkpoints at full speed: half of the smallest
/// backlog here.
const MEMORY_BYTES_MAX: u64 = 160_000_000;

/// Writes stories of blocks, ten a second, of which every thousandth ends midway, until there are so many bytes: how many there are.
fn write(path: &Path, bytes: u64) -> u64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut written = 0;
    for block in 0_u64.. {
        if written >= bytes {
            break;
        }
        let text = story(block);
        written += text.len() as u64;
        file.write_all(text.as_bytes()).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    written
}

fn story(block: u64) -> String {
    let (name, second) = (format!("blk_{}", block * 7919 + 1), block / 10);
    let stamp =
        format!("0811{:02} {:02}{:02}{:02} 21 INFO", 1 + second / 86_400, second / 3600 % 24, second / 60 % 60, second % 60);
    let receiving = |n: u64| {
        format!("{stamp} dfs.DataNode$DataXceiver: Receiving block {name} src: /10.0.0.{n}:40{n} dest: /10.0.0.{n}:50010\n")
    };
    let mut text = receiving(1);
    text += &format!("{stamp} dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: /user/a/part-{block:05}. {name}\n");
    text += &(receiving(2) + &receiving(3));
    if block % 1000 == 3 {
        return text;
    }
    for n in 1..=3 {
        text += &format!("{stamp} dfs.DataNode$PacketResponder: PacketResponder {} for block {name} terminating\n", 3 - n);
        text += &format!("{stamp} dfs.DataNode$PacketResponder: Received block {name} of size 67108864 from /10.0.0.{n}\n");
    }
    for n in 1..=3 {
        text += &format!(
            "{stamp} dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.0.0.{n}:50010 is added to {name} size 67108864\n"
        );
    }
    text
}

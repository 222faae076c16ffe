//! Ten thousand logs: few are open at once, all are read, and a daemon that has nothing to do takes little time to see that.

use std::fs::{self, File};
use std::time::{Duration, Instant, SystemTime};

use hdfs_vigil::limits::{DESCRIPTORS_MAX, STREAMS_MAX};

use crate::vigil::{Place, Vigil, append, pause, story_lines};

#[test]
fn an_idle_daemon_with_ten_thousand_logs_rests() {
    let place = Place::new("");
    // As it is by default; tests want to see things sooner.
    place.configure("[ingest]\nscan_interval = \"1s\"\n[http]\nlisten = \"127.0.0.1:0\"\n");
    let settled = SystemTime::now() - Duration::from_secs(3600);
    for number in 0..STREAMS_MAX {
        let path = place.logs().join(format!("hadoop-hdfs-datanode-dn{number}.log"));
        fs::write(&path, LINE).unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(settled).unwrap();
    }
    let vigil = place.start();
    place.wait_for("all logs", |place| place.metric("bytes_total") == (STREAMS_MAX * LINE.len()) as f64);
    assert!(logs_open(&place, &vigil) <= DESCRIPTORS_MAX);
    let cores = cores_used(&vigil, Duration::from_secs(10));
    // Measured: 0.05 of a core with a release build. Time on a core is no wall time: other programs take nothing of it.
    assert!(cores < 0.5, "{cores}");
    assert_eq!((place.metric("refused_streams_total"), place.metric("lag_bytes")), (0.0, 0.0));
    append(&place.logs().join(format!("hadoop-hdfs-datanode-dn{}.log", STREAMS_MAX - 1)), &story_lines(60));
    place.wait_for("alerts of one of them", |place| place.alerts().len() > 10);
    assert!(vigil.stop().success());
}

/// Logs that the daemon holds open.
fn logs_open(place: &Place, vigil: &Vigil) -> usize {
    vigil.open_files().iter().filter(|path| path.starts_with(place.logs())).count()
}

/// Share of one core that the daemon takes for so long.
fn cores_used(vigil: &Vigil, time: Duration) -> f64 {
    let (before, begin) = (vigil.cpu_ticks(), Instant::now());
    pause(time.as_millis() as u64);
    (vigil.cpu_ticks() - before) as f64 / 100.0 / begin.elapsed().as_secs_f64()
}

const LINE: &str = "081109 000000 143 INFO dfs.DataNode: nothing of interest\n";

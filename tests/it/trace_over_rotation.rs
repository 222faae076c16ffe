//! A stack trace whose log is rotated in its middle: what stands at the head of the next file still belongs to its record.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_rest_of_a_trace_joins_its_record_in_the_file_before() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("hadoop-hdfs-datanode-dn1.log");
    fs::write(place.path().join("hadoop-hdfs-datanode-dn1.log.1"), format!("{RECORD}java.io.IOException: Premature EOF\n"))
        .unwrap();
    fs::write(&log, format!("\tat org.apache.hadoop.io.IOUtils.readFully(IOUtils.java:212)\n\tat x\n{RECORD}")).unwrap();
    let report = replay(place.path());
    let counts = ["lines", "records", "joined_lines", "unparsed_lines"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(counts, [5, 2, 3, 0], "{report:#}");
}

const RECORD: &str = "2021-07-15 22:43:01,109 ERROR org.apache.hadoop.hdfs.server.datanode.DataNode: dn1:9866:DataXceiver error processing \
                      WRITE_BLOCK operation of BP-1-10.0.0.1-1:blk_1073741825_1001\n";

fn replay(logs: &Path) -> Value {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/hdfs-v1/model.onnx");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdfs-vigil"));
    let output = command.args(["replay", "--json", "--model"]).arg(model).arg(logs).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

//! The real appenders of Log4j 1.2 and 2: every line once and in order, while they roll, delete and compress.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hdfs_vigil::ingest::Notice;

use crate::tail::Tail;

#[test]
fn a_log_rolled_by_size_as_hadoop_does_by_default_comes_whole() {
    let config = "log4j.rootLogger=INFO,RFA\n\
                  log4j.appender.RFA=org.apache.log4j.RollingFileAppender\n\
                  log4j.appender.RFA.MaxFileSize=64KB\n\
                  log4j.appender.RFA.MaxBackupIndex=20\n";
    check(&Writer { jars: LOG4J1, program: "Log4j1.java", config: &with_layout("RFA", config), lines_per_milli: 1000 }, 30);
}

#[test]
fn a_log_rolled_by_date_comes_whole() {
    let config = "log4j.rootLogger=INFO,DRFA\n\
                  log4j.appender.DRFA=org.apache.log4j.DailyRollingFileAppender\n\
                  log4j.appender.DRFA.DatePattern=.yyyy-MM-dd-HH-mm-ss\n";
    check(&Writer { jars: LOG4J1, program: "Log4j1.java", config: &with_layout("DRFA", config), lines_per_milli: 10 }, 2);
}

#[test]
fn a_log_rolled_by_size_and_compressed_by_log4j_2_comes_whole() {
    let policies = r#"<SizeBasedTriggeringPolicy size="64KB"/>"#;
    let config = log4j2("%i.gz", policies, r#"fileIndex="min" max="20""#);
    check(&Writer { jars: LOG4J2, program: "Log4j2.java", config: &config, lines_per_milli: 1000 }, 30);
}

#[test]
fn a_log_rolled_by_date_and_size_and_compressed_by_log4j_2_comes_whole() {
    let policies = r#"<TimeBasedTriggeringPolicy interval="1"/><SizeBasedTriggeringPolicy size="64KB"/>"#;
    let config = log4j2("%d{yyyy-MM-dd-HH-mm-ss}.%i.gz", policies, r#"fileIndex="nomax""#);
    check(&Writer { jars: LOG4J2, program: "Log4j2.java", config: &config, lines_per_milli: 10 }, 30);
}

/// What writes the log.
struct Writer<'a> {
    jars: &'a [&'a str],
    program: &'a str,
    /// Its configuration, where `LOG` stands for the path of the log.
    config: &'a str,
    /// Lines after which it rests for a millisecond.
    lines_per_milli: usize,
}

/// Follows a log as it is written, with restarts, and sees to it that the writer is never so far ahead that files are deleted unread.
#[track_caller]
fn check(writer: &Writer<'_>, rotations_min: u64) {
    let mut tail = Tail::new();
    let Some(mut process) = start(writer, &tail.path(LOG)) else { return };
    let mut allowed = process.stdin.take().unwrap();
    let deadline = Instant::now() + DEADLINE;
    for turn in 1.. {
        let read = tail.lines(LOG).len();
        if read >= LINES {
            break;
        }
        assert!(Instant::now() < deadline, "{read} lines, {:#?}", tail.notices);
        // It may have written all of them and gone.
        let _ = writeln!(allowed, "{}", read + LINES_AHEAD).and_then(|()| allowed.flush());
        tail.step();
        if turn % 100 == 0 {
            tail.restart();
        }
    }
    assert!(process.wait().unwrap().success());
    tail.settle();
    let records: Vec<&str> =
        tail.lines(LOG).iter().filter_map(|line| line.split_once("DataNode: ")).map(|(_, text)| text).collect();
    let expected: Vec<String> = (0..LINES).map(|number| format!("record {number:06}")).collect();
    let differs = records.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert_eq!((records.len(), differs), (LINES, None), "{:#?}", tail.notices);
    let counters = tail.follower.counters();
    assert!(counters.opened_sources > rotations_min, "{counters:?}");
    assert_eq!(counters.lost_sources, 0, "{:#?}", tail.notices);
    assert!(!tail.has_notice(|notice| matches!(notice, Notice::Failed { .. })), "{:#?}", tail.notices);
}

/// Starts a Java program; `None`, with a word, where it or what it needs is not installed.
fn start(writer: &Writer<'_>, log: &Path) -> Option<Child> {
    let jars: Vec<String> = writer.jars.iter().map(|jar| format!("{JARS}/{jar}")).collect();
    if let Some(missing) = jars.iter().find(|jar| !Path::new(jar).exists()) {
        return skip(&format!("{missing} is missing; the packages liblog4j1.2-java and liblog4j2-java have it"));
    }
    if Command::new("javac").arg("-version").output().is_err() {
        return skip("javac is missing; the package default-jdk-headless has it");
    }
    let config = log.with_file_name(if writer.jars == LOG4J1 { "log4j.properties" } else { "log4j2.xml" });
    fs::write(&config, writer.config.replace("LOG", log.to_str().unwrap())).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java").join(writer.program);
    let mut command = Command::new("java");
    command.args(["-Xmx64m", "-cp", &jars.join(":")]).arg(program).arg(config);
    command.args([LINES.to_string(), writer.lines_per_milli.to_string()]);
    Some(command.stdin(Stdio::piped()).spawn().unwrap())
}

fn skip(why: &str) -> Option<Child> {
    assert!(env::var("CI").as_deref() != Ok("true"), "{why}");
    println!("skipped: {why}");
    None
}

/// What Hadoop's log4j.properties says of an appender beside its kind.
fn with_layout(appender: &str, config: &str) -> String {
    let prefix = format!("log4j.appender.{appender}");
    format!(
        "{config}{prefix}.File=LOG\n{prefix}.layout=org.apache.log4j.PatternLayout\n\
         {prefix}.layout.ConversionPattern=%d{{ISO8601}} %p %c: %m%n\n"
    )
}

fn log4j2(suffix: &str, policies: &str, strategy: &str) -> String {
    format!(
        r#"<Configuration status="error">
  <Appenders>
    <RollingFile name="RFA" fileName="LOG" filePattern="LOG.{suffix}">
      <PatternLayout pattern="%d{{ISO8601}} %p %c: %m%n"/>
      <Policies>{policies}</Policies>
      <DefaultRolloverStrategy {strategy}/>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="info"><AppenderRef ref="RFA"/></Root></Loggers>
</Configuration>
"#
    )
}

const LOG: &str = "hadoop-hdfs-datanode-dn1.log";
const LINES: usize = 50_000;
/// Seven files of 64 KB.
const LINES_AHEAD: usize = 5000;
/// Where Debian keeps jars.
const JARS: &str = "/usr/share/java";
const LOG4J1: &[&str] = &["log4j-1.2.jar"];
const LOG4J2: &[&str] = &["log4j-api.jar", "log4j-core.jar"];
const DEADLINE: Duration = Duration::from_secs(180);

//! What is told of hosts, and what is not.

use std::collections::BTreeSet;

use super::*;
use crate::limits::{
    ALERT_POSITIONS_MAX, COMPLAINT_POSITIONS_MAX, FIRST_MINED_ID, TROUBLE_COMPLAINTS_MAX, TROUBLE_HOSTS_NAMED_MAX,
    TROUBLE_RECENT_MAX,
};
use crate::pipeline::event::Position;
use crate::pipeline::event::origin::Role;
use crate::pipeline::event::parse::parse;
use crate::pipeline::event::trouble::{Trouble, matters};
use crate::pipeline::verdict::{Finding, HostFinding};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn an_error_never_said_before_is_told_once() {
    check(&[(5, "dn1", "ERROR a: disk broke")], "dn1@5 new: ERROR disk broke x1");
    check(&[(5, "dn1", "ERROR a: disk broke"), (9, "dn1", "ERROR a: disk broke")], "dn1@5 new: ERROR disk broke x2");
    check(&[(5, "dn1", "ERROR a: disk broke"), (DAY, "dn1", "ERROR a: disk broke")], "dn1@5 new: ERROR disk broke x1");
    check(&[(5, "dn1", "INFO a: disk broke")], "");
}

#[test]
fn a_warning_is_new_only_once_the_log_is_known() {
    check(&[(5, "dn1", "WARN a: disk is slow"), (2 * HOUR, "dn1", "WARN a: disk is slow")], "");
    check(&[(HOUR - 1, "dn1", "WARN a: disk is slow")], "");
    check(&[(HOUR, "dn1", "WARN a: disk is slow")], "dn1@3600 new: WARN disk is slow x1");
}

#[test]
fn the_same_sentence_with_another_exception_is_another_trouble() {
    let refused = "ERROR a: cannot write\njava.net.ConnectException: refused\n\tat b";
    let eof = "ERROR a: cannot write\njava.io.EOFException: end\n\tat b";
    check(
        &[(1, "dn1", refused), (2, "dn1", refused), (100, "dn1", eof), (101, "dn1", refused)],
        "dn1@1 new: ERROR cannot write (java.net.ConnectException) x2 | dn1@100 new: ERROR cannot write (java.io.EOFException) x1",
    );
}

#[test]
fn a_sentence_whose_template_widens_is_no_new_trouble() {
    let lost = |second, host| (second, "dn1", host);
    check(
        &[lost(5, "ERROR a: the mirror at x1y is gone"), lost(9, "ERROR a: the mirror at x2y is gone")],
        "dn1@5 new: ERROR the mirror at x1y is gone x2",
    );
    let mut records = vec![lost(5, "ERROR a: the mirror at x1y is gone"), lost(DAY, "ERROR a: the mirror at x2y is gone")];
    records.push(lost(2 * DAY, "ERROR a: the mirror at x3y is gone"));
    check(&records, "dn1@5 new: ERROR the mirror at x1y is gone x1");
}

#[test]
fn the_ids_of_templates_are_bounded() {
    let mut watch = Watch::new(settings()).expect("its masks are known");
    for number in 0..TROUBLE_IDS_MAX as u32 + 10 {
        watch.first_id(TemplateId(FIRST_MINED_ID + number));
        assert!(watch.state.first_ids.len() <= TROUBLE_IDS_MAX);
    }
}

#[test]
fn what_is_known_to_mean_trouble_is_told_from_the_first_line_on() {
    let pause = "WARN JvmPauseMonitor: Detected pause in JVM or host machine: pause of approximately 11563ms";
    check(&[(5, "dn1", pause)], "dn1@5 known_fault: Paused x1");
    check(&[(5, "dn1", "FATAL a: cannot go on")], "dn1@5 known_fault: FATAL cannot go on x1");
}

#[test]
fn trouble_that_goes_on_is_told_again_only_after_a_rest() {
    let pause = |second| (second, "dn1", "WARN JvmPauseMonitor: Detected pause in JVM");
    check(&[pause(0), pause(600), pause(1200)], "dn1@0 known_fault: Paused x1");
    check(&[pause(0), pause(601)], "dn1@0 known_fault: Paused x1 | dn1@601 known_fault: Paused x1");
}

#[test]
fn another_lost_data_node_is_another_trouble() {
    let lost = |second, host, node: &'static str| (second, host, node);
    let (one, two) = (
        "INFO StateChange: BLOCK* removeDeadDatanode: lost heartbeat from 10.0.0.1:9866, x",
        "INFO StateChange: BLOCK* removeDeadDatanode: lost heartbeat from 10.0.0.2:9866, x",
    );
    check(
        &[lost(0, "nn1", one), lost(1, "nn2", one), lost(60, "nn1", two), lost(120, "nn1", one)],
        "nn1@0 known_fault: LostNode 10.0.0.1:9866 x1 also on nn2 | nn1@60 known_fault: LostNode 10.0.0.2:9866 x1",
    );
}

#[test]
fn what_shows_on_many_hosts_at_once_is_told_of_the_first() {
    let refused = "ERROR a: cannot write";
    check(
        &[(0, "dn2", refused), (1, "dn1", refused), (2, "dn3", refused), (700, "dn4", refused)],
        "dn2@0 new: ERROR cannot write x1 also on dn1, dn3 | dn4@700 new: ERROR cannot write x1",
    );
    let pause = "WARN JvmPauseMonitor: Detected pause in JVM";
    check(&[(0, "dn1", pause), (100, "dn2", pause)], "dn1@0 known_fault: Paused x1 | dn2@100 known_fault: Paused x1");
}

#[test]
fn a_burst_is_far_more_than_there_ever_was() {
    let storm = |second: i64, count: i64| (0..count).map(move |_| (second, "dn1", "WARN a: slow"));
    let check = |storms: &[(i64, i64)], expected: &str| {
        let records: Vec<_> = storms.iter().flat_map(|(second, count)| storm(*second, *count)).collect();
        check(&records, expected);
    };
    check(&[(0, 1), (2 * HOUR, 19)], "");
    check(&[(0, 1), (2 * HOUR, 20)], "dn1@7200 burst: WARN slow x20 usually 1");
    check(&[(0, 1), (2 * HOUR, 25)], "dn1@7200 burst: WARN slow x25 usually 1");
    check(&[(0, 20), (2 * HOUR, 79)], "");
    check(&[(0, 20), (2 * HOUR, 80)], "dn1@7200 burst: WARN slow x80 usually 20");
    check(&[(0, 500)], "");
    check(&[(0, 20), (2 * HOUR, 80), (4 * HOUR, 80)], "dn1@7200 burst: WARN slow x80 usually 20");
    // What was usual halves with each day since.
    check(&[(0, 80), (2 * DAY, 79)], "");
    check(&[(0, 80), (2 * DAY, 80)], "dn1@172800 burst: WARN slow x80 usually 20");
    // It does not grow by what comes before midnight of its minute, and ends with the minute.
    check(&[(0, 1), (2 * HOUR + 59, 15), (2 * HOUR + 60, 15)], "");
}

#[test]
fn what_comes_together_is_one_alert_the_most_telling_first() {
    check(
        &[
            (0, "dn1", "ERROR a: cannot write"),
            (3, "dn1", "WARN VolumeChoosingPolicy: The volume with 0 B is less than the block size (=1 B)."),
            (9, "dn1", "ERROR a: cannot write"),
            (10, "dn1", "ERROR a: cannot write at all"),
        ],
        "dn1@0 known_fault: VolumeFull x1; ERROR cannot write x2 | dn1@10 new: ERROR cannot write at all x1",
    );
}

#[test]
fn each_further_alert_of_an_episode_gathers_for_twice_as_long() {
    let records = (0..200).map(|second| (second, "dn1", format!("ERROR a: {}", "x ".repeat(second as usize % 100 + 1))));
    let alerts = run(records.collect::<Vec<_>>().iter().map(|(second, host, line)| (*second, *host, line.as_str())), settings());
    let opened: Vec<i64> = alerts.iter().map(|alert| alert.time.0 / 1000).collect();
    assert_eq!(opened, [0, 10, 30, 70]);
    let incidents: BTreeSet<_> = alerts.iter().map(|alert| alert.incident).collect();
    let ids: BTreeSet<_> = alerts.iter().map(|alert| alert.id).collect();
    assert_eq!((incidents.len(), ids.len()), (1, 4), "one incident, and an id for each alert");
}

#[test]
fn an_orderly_stop_and_start_is_no_trouble_and_a_start_without_a_stop_is() {
    let (start, term, end) =
        ("INFO a.DataNode: STARTUP_MSG: ", "ERROR a.DataNode: RECEIVED SIGNAL 15: SIGTERM", "INFO a.DataNode: SHUTDOWN_MSG: ");
    check(&[(0, "dn1", start), (50, "dn1", term), (51, "dn1", end), (60, "dn1", start), (99, "dn1", term)], "");
    check(&[(0, "dn1", start), (50, "dn1", start)], "dn1@50 known_fault: Started x1");
    check(&[(50, "dn1", start)], "dn1@50 known_fault: Started x1");
}

#[test]
fn what_every_start_says_is_no_trouble() {
    let (start, active) = ("INFO a.NameNode: STARTUP_MSG: ", "INFO FSNamesystem: Starting services required for active state");
    let safe = "INFO StateChange: STATE* Safe mode ON. ";
    check(&[(0, "nn1", start), (1, "nn1", safe), (30, "nn1", active)], "");
    check(&[(0, "nn1", start), (30, "nn1", active), (2000, "nn1", active)], "nn1@2000 known_fault: BecameActive x1");
    check(&[(0, "nn1", start), (1, "nn1", safe), (601, "nn1", safe)], "nn1@601 known_fault: SafeMode x1");
    check(
        &[(5, "nn1", "INFO FSNamesystem: Starting services required for standby state")],
        "nn1@5 known_fault: BecameStandby x1",
    );
}

#[test]
fn nothing_is_told_when_hosts_are_not_watched() {
    let off = Settings { enabled: false, ..settings() };
    assert!(run([(0, "dn1", "FATAL a: cannot go on")].into_iter(), off).is_empty());
}

#[test]
fn ids_depend_on_host_and_time_alone_and_survive_a_checkpoint() {
    let records =
        [(5, "dn1", "ERROR a: disk broke"), (9, "dn1", "ERROR a: disk broke"), (40, "dn1", "ERROR a: another one broke too")];
    let whole = run(records.into_iter(), settings());
    for cut in 0..records.len() {
        let (mut watch, mut alerts) = (Watch::new(settings()).expect("its masks are known"), VecDeque::new());
        for (index, record) in records.iter().enumerate() {
            if index == cut {
                let kept = (watch.kept(), watch.templates(), watch.sources());
                let bytes = postcard::to_stdvec(&kept).expect("it can be written");
                let (kept, templates, sources) = postcard::from_bytes(&bytes).expect("and read");
                watch = Watch::restore(settings(), kept, templates, sources).expect("its masks are known");
            }
            give(&mut watch, *record, index as u64, &mut alerts);
        }
        watch.flush(&mut alerts);
        assert_eq!(Vec::from(alerts), whole, "cut at {cut}");
    }
    let after_others = [(1, "nn1", "ERROR a: nothing to do with it at all")].into_iter().chain(records);
    let alerts = run(after_others, settings());
    assert_eq!(
        alerts.iter().filter(|alert| host(alert).host == "dn1").map(|alert| alert.id).collect::<Vec<_>>(),
        [whole[0].id, whole[1].id]
    );
}

#[test]
fn an_alert_is_bounded() {
    for (kinds, told, left_out) in [(11, 11, 0), (12, 12, 0), (13, 12, 1)] {
        let lines: Vec<String> = (1..=kinds).map(|number| format!("ERROR a: {}", "x ".repeat(number))).collect();
        let records = lines.iter().flat_map(|line| (0..6).map(move |_| (0, "dn1", line.as_str())));
        let alerts = run(records, settings());
        let finding = host(&alerts[0]);
        assert_eq!((finding.complaints.len(), finding.complaints_left_out as usize), (told, left_out), "{kinds}");
        assert_eq!(alerts[0].positions.len(), (told * COMPLAINT_POSITIONS_MAX).min(ALERT_POSITIONS_MAX));
    }
    assert_eq!(TROUBLE_COMPLAINTS_MAX, 12);
    for (others, named) in [(15, 15), (16, 16), (17, 16)] {
        let hosts: Vec<String> = (0..=others).map(|number| format!("dn{number:02}")).collect();
        let alerts = run(hosts.iter().map(|host| (0, host.as_str(), "ERROR a: cannot write")), settings());
        assert_eq!(host(&alerts[0]).also_on.len(), named.min(TROUBLE_HOSTS_NAMED_MAX), "{others}");
    }
}

#[test]
fn kinds_are_bounded_and_those_heard_last_stay() {
    for (given, kept, forgotten) in [
        (TROUBLE_KINDS_MAX - 1, TROUBLE_KINDS_MAX - 1, 0),
        (TROUBLE_KINDS_MAX, TROUBLE_KINDS_MAX, 0),
        (TROUBLE_KINDS_MAX + 1, TROUBLE_KINDS_MAX - TROUBLE_KINDS_MAX / 8 + 1, TROUBLE_KINDS_MAX / 8),
    ] {
        let (mut watch, mut alerts) = (Watch::new(settings()).expect("its masks are known"), VecDeque::new());
        for number in 0..given {
            give(&mut watch, (0, &format!("dn{number}"), "WARN a: slow"), 0, &mut alerts);
        }
        assert_eq!((watch.kinds(), watch.forgotten()), (kept as u64, forgotten as u64), "{given}");
        assert_eq!(watch.state.hosts.len(), kept, "a host of which nothing is known is forgotten");
        assert!(watch.state.hosts.contains_key(&format!("dn{}", given - 1)));
    }
}

#[test]
fn a_case_gets_what_stood_near_its_last_event_on_its_hosts() {
    let near = |second: i64, host: &str| {
        let mut watch = watch_of_sources(&["dn1", "dn2"]);
        give(&mut watch, (second, host, "WARN a: slow\njava.io.EOFException: x"), 0, &mut VecDeque::new());
        give(&mut watch, (second, host, "WARN a: slow\njava.io.EOFException: x"), 1, &mut VecDeque::new());
        attached(&watch, 1000)
    };
    assert_eq!(near(1000, "dn1"), ["dn1 slow (java.io.EOFException) x2"]);
    for (second, expected) in [(939, 0), (940, 1), (1060, 1), (1061, 0)] {
        assert_eq!(near(second, "dn1").len(), expected, "{second}");
    }
    assert!(near(1000, "dn2").is_empty(), "the block has no event there");
}

#[test]
fn what_stands_near_a_case_is_bounded_and_the_latest() {
    for kinds in [NEARBY_MAX - 1, NEARBY_MAX, NEARBY_MAX + 1, TROUBLE_RECENT_MAX + 1] {
        let mut watch = watch_of_sources(&["dn1"]);
        for number in 0..kinds {
            give(&mut watch, (1000, "dn1", &format!("WARN a: {}", "x ".repeat(number + 1))), 0, &mut VecDeque::new());
        }
        let near = attached(&watch, 1000);
        assert_eq!(near.len(), kinds.min(NEARBY_MAX), "{kinds}");
        assert_eq!(near[0].matches('x').count(), kinds + 1, "the latest comes first, and the count has an x too");
        assert_eq!(watch.state.hosts["dn1"].recent(LogTime(0), LogTime(i64::MAX)).count(), kinds.min(TROUBLE_RECENT_MAX));
    }
}

#[test]
fn files_are_forgotten_at_their_bound() {
    for (given, kept) in [(SOURCES_MAX - 1, SOURCES_MAX - 1), (SOURCES_MAX, SOURCES_MAX), (SOURCES_MAX + 1, SOURCES_MAX)] {
        let mut watch = Watch::new(settings()).expect("its masks are known");
        (0..given).for_each(|number| watch.handle_source(SourceId(number as u32), "dn1"));
        assert_eq!(watch.sources.len(), kept, "{given}");
    }
}

/// Gives records (seconds since the first of their log, host, level with logger and message) and compares the alerts.
fn check(records: &[(i64, &str, &str)], expected: &str) {
    let alerts = run(records.iter().copied(), settings());
    let told: Vec<String> = alerts.iter().map(told).collect();
    assert_eq!(told.join(" | "), expected, "{records:?}");
}

fn run<'a>(records: impl Iterator<Item = (i64, &'a str, &'a str)>, settings: Settings) -> Vec<Alert> {
    let (mut watch, mut alerts) = (Watch::new(settings).expect("its masks are known"), VecDeque::new());
    for (number, record) in records.enumerate() {
        give(&mut watch, record, number as u64, &mut alerts);
    }
    watch.flush(&mut alerts);
    alerts.into()
}

fn give(watch: &mut Watch, (second, host, line): (i64, &str, &str), offset: u64, alerts: &mut VecDeque<Alert>) {
    let line = format!("2026-11-23 03:41:49,348 {line}");
    let record = parse(line.as_bytes()).expect("it has a header");
    let Some((level, statement)) = matters(&record) else { return };
    let position = Position { source: SourceId(0), offset, length: 1 };
    let trouble = Trouble { level, statement, role: Role::DataNode };
    let (time, age_millis) = (LogTime(second * 1000), second * 1000);
    watch.handle_record(&TroubleRecord { time, host, trouble, age_millis, position, content: record.content }, alerts);
}

fn told(alert: &Alert) -> String {
    let finding = host(alert);
    let complaints: Vec<String> = finding.complaints.iter().map(complaint).collect();
    let also_on = if finding.also_on.is_empty() { String::new() } else { format!(" also on {}", finding.also_on.join(", ")) };
    format!("{}@{} {}: {}{also_on}", finding.host, alert.time.0 / 1000, alert.reason.name(), complaints.join("; "))
}

fn complaint(complaint: &crate::pipeline::verdict::Complaint) -> String {
    let exception = complaint.exception.as_deref().map(|exception| format!(" ({exception})")).unwrap_or_default();
    let subject = complaint.subject.as_deref().map(|subject| format!(" {subject}")).unwrap_or_default();
    let usual =
        if complaint.reason == Reason::Burst { format!(" usually {}", complaint.usual_per_minute) } else { String::new() };
    match complaint.statement {
        Some(statement) => format!("{statement:?}{subject} x{}", complaint.count),
        None => {
            let level = format!("{:?}", complaint.level).to_uppercase();
            format!("{level} {}{exception} x{}{usual}", complaint.template, complaint.count)
        }
    }
}

fn host(alert: &Alert) -> &HostFinding {
    let Finding::Host(finding) = &alert.finding else { panic!("it is of a host") };
    finding
}

/// A watch that knows these hosts, each as the writer of the file of its number.
fn watch_of_sources(hosts: &[&str]) -> Watch {
    let mut watch = Watch::new(settings()).expect("its masks are known");
    (0..).zip(hosts).for_each(|(number, host)| watch.handle_source(SourceId(number), host));
    watch
}

/// What a case with one event of the first file at that second gets.
fn attached(watch: &Watch, second: i64) -> Vec<String> {
    let time = LogTime(second * 1000);
    let mut case = Case { first: time, last: time, time, ..crate::pipeline::session::tests::case(&[6]) };
    watch.attach(&mut case);
    case.nearby.iter().map(|nearby| format!("{} {} x{}", nearby.host, nearby.template, nearby.count)).collect()
}

fn settings() -> Settings {
    Settings { enabled: true, learning_millis: HOUR * 1000, quiet_millis: 600_000, burst_records: 20, burst_factor: 4 }
}

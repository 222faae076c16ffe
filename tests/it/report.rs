//! The report of a replay: one page, well-formed and self-contained, in which nothing that a log says is markup.

use std::fs;

use crate::real_data;
use crate::vigil::{Place, append, model, story_lines};

#[test]
fn a_report_is_one_page_that_holds_what_the_replay_told() {
    let place = place();
    let page = report(&place, &["--labels", "labels.csv"]);
    check_page(&page);
    for text in
        ["How scores are distributed", "Scores over time", "False alarms a day", "How the model was trained", "a&amp;b.log"]
    {
        assert!(page.contains(text), "{text} is missing");
    }
    let alerts = place.alerts();
    let told = alerts.iter().filter(|alert| page.contains(alert["id"].as_str().unwrap())).count();
    assert!(alerts.len() > 5 && told >= 2, "{told} of {} alerts are quoted", alerts.len());
    let hostile = alerts.iter().find(|alert| alert.to_string().contains("<script>")).expect("the hostile line is quoted");
    assert!(page.contains(hostile["id"].as_str().unwrap()), "{hostile}");
    assert!(page.contains("&lt;script&gt;alert(&quot;a&quot;&amp;&#39;b&#39;)&lt;/script&gt;"), "it is shown as it was written");
    assert!(!page.contains("<script"), "nothing runs");
}

#[test]
fn the_same_logs_give_the_same_report_but_for_what_is_measured() {
    let place = place();
    let [first, second] = [report(&place, &["--labels", "labels.csv"]), report(&place, &["--labels", "labels.csv"])];
    assert_eq!(without_measured(&first), without_measured(&second));
    assert!(without_measured(&first).len() < first.len(), "what is measured is marked");
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_anything_is_read() {
    let place = place();
    let log = place.logs().join("a&b.log").display().to_string();
    for (path, complaint) in [("nowhere/report.html", "write nowhere/report.html"), (log.as_str(), "name it *.html")] {
        let (code, out, error) = replay(&place, path, &["--show", "10"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{error}");
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn thousands_of_alerts_of_a_real_cluster_fit_into_a_page() {
    let place = Place::new("");
    if real_data::unpack("hadoop3/faults", &place.logs(), |name| name.contains("datanode-1") || name.contains("namenode"))
        .is_none()
    {
        return;
    }
    let page = report(&place, &[]);
    check_page(&page);
    assert!(page.contains("Alerts on blocks"), "{}", page.len());
}

/// A place with a log in which things go wrong, and one line that is meant to break out of the page.
fn place() -> Place {
    let place = Place::new("");
    let mut lines = story_lines(60);
    let at = lines.len() / 2;
    let stamp: String = lines[at].chars().take(13).collect();
    let hostile = r#"dfs.DataNode$DataXceiver: <script>alert("a"&'b')</script> --> ]]> blk_1"#;
    lines.insert(at, format!("{stamp} 21 WARN {hostile}"));
    append(&place.logs().join("a&b.log"), &lines);
    let label = |block: u64| {
        let anomalous = block % 7 == 3 || block % 11 == 5;
        format!("blk_{},{}", block * 7919 + 1, if anomalous { "Anomaly" } else { "Normal" })
    };
    append(&place.path("labels.csv"), &(0..60).map(label).collect::<Vec<_>>());
    place
}

fn report(place: &Place, more: &[&str]) -> String {
    let _ = fs::create_dir(place.path("out"));
    let (code, _, error) = replay(place, "out/report.html", &[more, &["--json", "--alerts", "alerts.jsonl"]].concat());
    assert_eq!(code, Some(0), "{error}");
    fs::read_to_string(place.path("out/report.html")).unwrap()
}

fn replay(place: &Place, report: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let [logs, model] = [place.logs(), model()].map(|path| path.display().to_string());
    place.run(&[&["replay", &logs, "--model", &model, "--config", "vigil.toml", "--report", report], more].concat())
}

fn without_measured(page: &str) -> String {
    let parts = page.split("<!--measured-->").map(|part| part.rsplit("<!--/measured-->").next().unwrap());
    parts.collect()
}

/// Well-formed, bounded, and asks for nothing from anywhere.
fn check_page(page: &str) {
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("it says what it is");
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at], open.last().copied());
        let end = at + rest[at..].find('>').expect("every tag ends");
        let (tag, after) = (&rest[at + 1..end], &rest[end + 1..]);
        rest = after;
        if tag.starts_with("!--") {
            assert!(tag.ends_with("--"), "a comment has no tag in it: {tag}");
        } else if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "tags are closed in order");
        } else {
            check_attributes(tag);
            let name = tag.split_whitespace().next().unwrap().trim_end_matches('/');
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
}

fn check_text(text: &str, inside: Option<&str>) {
    assert!(!text.contains('>') || inside == Some("style"), "a bare > in {text:?}");
    for entity in text.split('&').skip(1) {
        let name = entity.split(';').next().unwrap();
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "&{name}");
    }
    if inside == Some("style") {
        assert!(!text.contains("url(") && !text.contains("@import"), "styles load nothing");
    }
}

/// All are quoted, none loads or runs anything, and what is named is in the page itself.
fn check_attributes(tag: &str) {
    for (index, part) in tag.split('"').enumerate() {
        if index % 2 == 1 {
            let is_local = !part.contains("url(") || part.starts_with("url(#");
            assert!(is_local && !part.contains("://"), "{tag}");
        } else if let Some(name) = part.trim().strip_suffix('=') {
            let name = name.rsplit(' ').next().unwrap();
            assert!(!["src", "href", "action", "data", "srcset", "style"].contains(&name) && !name.starts_with("on"), "{tag}");
        }
    }
    assert_eq!(tag.matches('"').count() % 2, 0, "quotes are paired: {tag}");
}

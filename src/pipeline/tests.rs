//! Regimes, modes and refused scores, through the whole pipeline.

use super::swap::tests::{pipeline, read, settings};
use super::*;
use crate::pipeline::kept::Section;
use crate::pipeline::profile::tests::profile;
use crate::pipeline::verdict::{AlertType, Finding, Reason};

#[test]
fn a_change_of_regime_fires_through_a_restart_until_it_is_acknowledged() {
    let mut pipeline = moved();
    let fired = pipeline.poll_alert().expect("it is told");
    assert_eq!((fired.alert_type, fired.reason, fired.mode), (AlertType::Regime, Reason::ScoreLevel, Some(DetectorMode::Active)));
    let Finding::Regime(finding) = &fired.finding else { panic!("it is of a regime") };
    assert!(finding.before.typical < 1.2 && finding.before.threshold < HIGH.into(), "{finding:?}");
    assert!(finding.after.typical > 8.0 && finding.after.threshold > HIGH.into(), "{finding:?}");
    assert_eq!((pipeline.poll_alert(), pipeline.stats().regimes_firing), (None, 1));
    let mut pipeline = restarted(pipeline);
    assert_eq!((pipeline.stats().regimes_firing, pipeline.stats().regime_changes), (1, 1));
    assert!(!pipeline.acknowledge(IncidentId(7)), "there is no such incident");
    assert!(pipeline.acknowledge(fired.incident));
    let resolved = pipeline.poll_alert().expect("it is told");
    assert_eq!((resolved.incident, resolved.reason), (fired.incident, Reason::Acknowledged));
    assert!(!pipeline.acknowledge(fired.incident), "it no longer fires");
    assert_eq!((pipeline.poll_alert(), pipeline.stats().regimes_firing), (None, 0));
}

#[test]
fn a_level_that_goes_back_resolves_the_change_by_itself() {
    let mut pipeline = moved();
    let before = pipeline.poll_alert().expect("it is told").incident;
    let high = pipeline.stats().threshold;
    judge_new(&mut pipeline, EPISODES, LOW);
    let back = pipeline.poll_alert().expect("it is told");
    assert_eq!((back.incident, back.alert_type, back.reason), (before, AlertType::RegimeResolved, Reason::Recovered));
    assert!(pipeline.stats().threshold < high / 2.0, "{} from {high}", pipeline.stats().threshold);
}

#[test]
fn another_model_ends_a_regime() {
    let mut pipeline = moved();
    let fired = pipeline.poll_alert().expect("it is told");
    let mut next = profile(&["<*> was opened"]);
    next.calibration.log_mean = 1.0;
    pipeline.swap(next).expect("its masks are known");
    let resolved = pipeline.poll_alert().expect("it is told");
    assert_eq!((resolved.incident, resolved.reason), (fired.incident, Reason::ModelChanged));
    assert_eq!((pipeline.mode(), pipeline.stats().regimes_firing), (DetectorMode::Warmup, 0));
}

#[test]
fn the_mode_says_how_far_the_threshold_can_be_relied_on() {
    let mut pipeline = pipeline_of(&settings_for_regimes());
    assert_eq!(pipeline.mode(), DetectorMode::Warmup);
    judge_new(&mut pipeline, EPISODES, LOW);
    assert_eq!(pipeline.mode(), DetectorMode::Active);
    judge_new(&mut pipeline, 100, HIGH);
    assert_eq!((pipeline.mode(), pipeline.poll_alert()), (DetectorMode::Frozen, None));
    // No threshold may be so high: after as many, nearly all stories are like no normal one.
    judge_new(&mut pipeline, 1100, 1000.0);
    assert_eq!(pipeline.mode(), DetectorMode::DomainMismatch);
    let last = std::iter::from_fn(|| pipeline.poll_alert()).last().expect("it is told");
    assert_eq!((last.alert_type, last.mode), (AlertType::Mismatch, Some(DetectorMode::DomainMismatch)));
}

#[test]
fn what_is_no_number_is_refused_and_moves_nothing() {
    let mut pipeline = pipeline_of(&settings_for_regimes());
    judge_new(&mut pipeline, 10, LOW);
    let before = (pipeline.stats().threshold, pipeline.stats().threshold_updates);
    for (refused, score) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0].into_iter().enumerate() {
        judge_new(&mut pipeline, 1, score);
        let stats = pipeline.stats();
        assert_eq!((stats.refused_scores, stats.threshold, stats.threshold_updates), (refused as u64 + 1, before.0, before.1));
    }
}

/// What an unknown event scores says nothing of how the others do.
#[test]
fn a_story_with_an_unknown_event_moves_nothing() {
    let mut pipeline = pipeline_of(&settings_for_regimes());
    judge_new(&mut pipeline, 10, LOW);
    let before = pipeline.stats().threshold;
    read(&mut pipeline, 1 << 40, &["blk_7 was opened", "blk_7 caught fire"]);
    pipeline.flush();
    judge_all(&mut pipeline, 0.1);
    assert_eq!((pipeline.stats().threshold, pipeline.stats().threshold_updates), (before, 10));
}

#[test]
fn a_day_of_silence_is_nothing_to_the_threshold() {
    let mut pipeline = pipeline_of(&settings_for_regimes());
    judge_new(&mut pipeline, EPISODES, LOW);
    let before = (pipeline.threshold.kept().clone(), pipeline.mode());
    pipeline.handle_time(WallTime(1));
    pipeline.handle_time(WallTime(86_400_000));
    judge_all(&mut pipeline, HIGH);
    assert_eq!((pipeline.threshold.kept().clone(), pipeline.mode()), before);
}

/// A line may be read as late as records wait for each other: silence must not have moved log time beyond it.
#[test]
fn silence_moves_log_time_no_further_than_a_late_line_may_still_be() {
    let mut pipeline = pipeline(&[]);
    read(&mut pipeline, 0, &["blk_1 was opened"]);
    let newest = pipeline.front.newest().expect("a record was read");
    pipeline.handle_time(WallTime(20_000));
    let late_millis = pipeline.settings.front.merge_delay_millis;
    assert!(late_millis > 0);
    assert_eq!(pipeline.assembler.now(), Some(newest.plus_millis(20_000 - late_millis)));
}

const EPISODES: usize = 256;
const LOW: f32 = 0.9;
const HIGH: f32 = 9.0;

/// One whose scores have moved from low to high.
fn moved() -> Pipeline {
    let mut pipeline = pipeline_of(&settings_for_regimes());
    judge_new(&mut pipeline, EPISODES, LOW);
    judge_new(&mut pipeline, EPISODES, HIGH);
    pipeline
}

fn settings_for_regimes() -> Settings {
    let threshold = threshold::Settings { regime_episodes: EPISODES, ..threshold::Settings::default() };
    Settings { threshold, ..settings() }
}

fn pipeline_of(settings: &Settings) -> Pipeline {
    Pipeline {
        settings: settings.clone(),
        threshold: Threshold::new(settings.threshold, &profile(&[]).calibration),
        ..pipeline(&[])
    }
}

fn restarted(mut pipeline: Pipeline) -> Pipeline {
    let templates = pipeline.take_templates();
    let copied = |section| postcard::from_bytes(&postcard::to_stdvec(&section).expect("it can be written")).expect("and read");
    let sections: Vec<Section> = pipeline.sections().map(copied).collect();
    let mut sessions = assemble::Kept::default();
    pipeline.sessions().begin_changes();
    sessions.apply(pipeline.sessions().take_changes(usize::MAX));
    sessions.set_released(pipeline.released().clone());
    let kept = Kept::new(sections, sessions).expect("all sections are there");
    let Pipeline { settings, profile, .. } = pipeline;
    Pipeline::restore(settings, profile, kept, &[templates], true).expect("it is its own")
}

/// So many new blocks are judged, each with this score and the counts of a normal story.
fn judge_new(pipeline: &mut Pipeline, blocks: usize, score: f32) {
    let first = pipeline.stats().records;
    let said: Vec<String> = (first..first + blocks as u64).map(|block| format!("blk_{block} was opened")).collect();
    read(pipeline, first << 8, &said.iter().map(String::as_str).collect::<Vec<_>>());
    pipeline.flush();
    judge_all(pipeline, score);
}

fn judge_all(pipeline: &mut Pipeline, score: f32) {
    while let Some(windows) = pipeline.poll_batch() {
        let scores = windows.iter().map(|window| Score { score, distance: 0.0, token_error: vec![0.1; window.tokens.len()] });
        pipeline.handle_scores(scores.map(Some), |_, _| {});
    }
}

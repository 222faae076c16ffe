//! Learning: what is learnt is what runs, the same each time, and good enough to ship.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hdfs_vigil::learn::evaluate::{HDFS_V1, evaluate, first_threshold, tokens};
use hdfs_vigil::learn::{Corpus, LearnError, Learned, Options, Story, learn};
use hdfs_vigil::model::contract::Golden;
use hdfs_vigil::model::onnx;
use hdfs_vigil::model::scorer::Scorer;
use hdfs_vigil::pipeline::event::LogTime;
use hdfs_vigil::pipeline::profile::{DrainSettings, Profile, Scope};
use hdfs_vigil::pipeline::session::encode::Encoder;
use hdfs_vigil::pipeline::session::{Begin, Score, Window};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::real_data;

#[test]
fn onnx_runtime_scores_as_training_did() {
    let learned = learn_synthetic(7);
    let mut scorer = scorer(&learned);
    assert!(learned.contract.golden.len() >= 8);
    check_golden(&mut scorer, &learned.contract.golden);
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sessions = folder.path().join("sessions.csv");
    std::fs::write(&sessions, session_file()).expect("writes");
    std::fs::write(folder.path().join("templates.csv"), TEXTS.join("\n")).expect("writes");
    let [one, two, other] = [("1", "5"), ("2", "5"), ("1", "6")].map(|(threads, seed)| learnt_bytes(&sessions, threads, seed));
    assert_eq!(one, two, "the number of threads changed the model");
    assert_ne!(one, other, "the seed changed nothing");
}

#[test]
fn too_few_stories_are_refused_with_how_many_are_needed() {
    let mut corpus = synthetic();
    corpus.stories.truncate(99);
    let error = learn(&corpus, &options(1), &mut |_| ()).expect_err("99 are too few");
    assert!(matches!(error, LearnError::TooFewStories { stories: 99 }), "{error}");
    assert!(error.to_string().contains("at least 100"), "{error}");
}

#[test]
fn a_stop_keeps_what_was_learnt_by_then() {
    let options = Options { stop: Arc::new(AtomicBool::new(true)), ..options(1) };
    let learned = learn(&synthetic(), &options, &mut |_| ()).expect("one epoch is a model");
    assert_eq!(learned.contract.training.loss.len(), 1);
    scorer(&learned);
}

#[test]
fn stories_that_stop_early_do_not_hide_others_of_their_kind() {
    let mut corpus = synthetic();
    corpus.stories.extend((0..5).map(|_| Story { events: vec![0, 1], ..Story::default() }));
    for (screen, suspects) in [(true, 5), (false, 0)] {
        let learned = learn(&corpus, &Options { screen, ..options(1) }, &mut |_| ()).expect("learns");
        assert_eq!(learned.suspects, suspects);
        let stopped = scorer(&learned).score(&[window(&learned.contract.profile, &corpus, Begin::Start, &[0, 1])]).remove(0);
        assert_eq!(stopped.expect("scores").distance > 0.5, screen);
    }
}

#[test]
fn blocks_rest_where_their_times_say_so() {
    let mut corpus = synthetic();
    for story in &mut corpus.stories {
        let quiet_before_deletion = |&event: &u32| LogTime(if event == 4 { 400_000 } else { 0 });
        story.times = Some(story.events.iter().map(quiet_before_deletion).collect());
    }
    let learned = learn(&corpus, &options(1), &mut |_| ()).expect("learns");
    let written = [0, 1, 1, 2, 2];
    let midway = [0, 1];
    let windows = [&written[..], &midway].map(|events| window(&learned.contract.profile, &corpus, Begin::Start, events));
    let distances: Vec<f32> = scores(&mut scorer(&learned), &windows).iter().map(|score| score.distance).collect();
    assert!(distances[0] <= 0.5, "a block at rest is normal, distance {}", distances[0]);
    assert!(distances[1] > 0.5, "a block that stops while written is not, distance {}", distances[1]);
}

#[test]
fn the_shipped_model_reproduces_its_golden_windows() {
    let lines = std::fs::read_to_string(shipped("golden.jsonl")).expect("golden windows are shipped");
    let golden: Vec<Golden> = lines.lines().map(|line| serde_json::from_str(line).expect("a golden window")).collect();
    let mut scorer = Scorer::load(&shipped("model.onnx")).expect("the shipped model loads");
    assert_eq!(golden, scorer.contract().golden);
    check_golden(&mut scorer, &golden);
}

#[test]
fn the_shipped_model_tells_anomalous_sessions_from_normal_ones() {
    let Some((normal, anomalous)) = sessions("more_normal.csv").zip(sessions("test_anomalous.csv")) else {
        return;
    };
    let mut scorer = Scorer::load(&shipped("model.onnx")).expect("the shipped model loads");
    let contract = scorer.contract().clone();
    let score = |windows: &[Window]| scorer.score(windows).into_iter().collect();
    let report =
        evaluate::<hdfs_vigil::model::scorer::ScoreError>(&contract, &normal, &anomalous, HDFS_V1, score).expect("scores");
    println!("{report:?}");
    assert!(report.both.f1 >= 0.97, "{report:?}");
}

#[test]
fn a_few_failures_among_the_stories_learnt_from_cost_less_than_a_hundredth_of_f1() {
    let files = ["train_normal_1pct.csv", "more_normal.csv", "test_anomalous.csv"].map(sessions);
    let [Some(mut train), Some(normal), Some(mut anomalous)] = files else { return };
    let (mut learnt, mut judged) = (Vec::new(), Vec::new());
    for (index, story) in anomalous.stories.drain(..).enumerate() {
        if index % 46 == 0 { learnt.push(story) } else { judged.push(story) }
    }
    assert!(learnt.len() as f64 > 0.03 * train.stories.len() as f64, "3 % of what is learnt from");
    anomalous.stories = judged;
    // Which kinds are known does not depend on how long the network learns.
    let f1 = |train: &Corpus| {
        let learned = learn(train, &Options { epochs: 1, ..options(1) }, &mut |_| ()).expect("learns");
        let (contract, mut scorer) = (learned.contract.clone(), scorer(&learned));
        let score = |windows: &[Window]| scorer.score(windows).into_iter().collect();
        let report = evaluate::<hdfs_vigil::model::scorer::ScoreError>(&contract, &normal, &anomalous, HDFS_V1, score);
        report.expect("scores").counts_alone.f1
    };
    let clean = f1(&train);
    train.stories.extend(learnt);
    let contaminated = f1(&train);
    println!("{clean} of clean stories, {contaminated} with failures among them");
    assert!(clean > 0.985 && clean - contaminated < 0.01, "{clean} became {contaminated}");
}

#[test]
fn the_shipped_model_is_calm_about_blocks_at_rest_and_logs_joined_late() {
    let Some(corpus) = sessions("more_normal.csv") else { return };
    let mut scorer = Scorer::load(&shipped("model.onnx")).expect("the shipped model loads");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut resting, mut joined, mut resumed) = (Vec::new(), Vec::new(), Vec::new());
    for story in &corpus.stories {
        let cut = random.random_range(1..story.events.len());
        joined.push((Begin::Mid, &story.events[cut..]));
        for rest in rests(&corpus, story) {
            resting.push((Begin::Start, &story.events[..rest]));
            resumed.push((Begin::Resumed, &story.events[rest..]));
        }
    }
    for (name, episodes, share_max) in [("resting", resting, 0.002), ("joined", joined, 0.001), ("resumed", resumed, 0.001)] {
        let profile = scorer.contract().profile.clone();
        let windows: Vec<Window> = episodes.iter().map(|(begin, events)| window(&profile, &corpus, *begin, events)).collect();
        let flagged = flagged(&profile, &scores(&mut scorer, &windows));
        let share = flagged as f64 / windows.len() as f64;
        println!("{name}: {flagged} of {} flagged, {:.3} %", windows.len(), 100.0 * share);
        assert!(windows.len() > 1000 && share <= share_max, "{name}: {flagged} of {} flagged", windows.len());
    }
}

const TEXTS: [&str; 6] = ["allocate <*>", "receiving <*>", "received <*>", "served <*>", "deleted <*>", "replicate <*> again"];

fn learn_synthetic(seed: u64) -> Learned {
    learn(&synthetic(), &options(seed), &mut |_| ()).expect("learns")
}

fn options(seed: u64) -> Options {
    Options { name: "synthetic".to_owned(), seed, epochs: 3, ..Options::default() }
}

/// Blocks that are written by two hosts at once, some are read, some often, and most are deleted.
fn synthetic() -> Corpus {
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let drain = DrainSettings {
        depth: 4,
        similarity: 0.5,
        children_max: 100,
        masks: vec!["block".to_owned()],
        ..DrainSettings::reference()
    };
    let stories = (0..300).map(|index| Story { events: synthetic_events(index, &mut random), ..Story::default() }).collect();
    Corpus {
        texts: TEXTS.map(str::to_owned).to_vec(),
        stories,
        inputs: vec![("s".into(), "0".into())],
        drain,
        scope: Scope::Cluster,
        calm: BTreeSet::new(),
    }
}

fn synthetic_events(index: u32, random: &mut ChaCha8Rng) -> Vec<u32> {
    let mut events = if random.random() { vec![0, 1, 1, 2, 2] } else { vec![0, 1, 2, 1, 2] };
    events.extend(vec![3; [0, 0, 1, 12][index as usize & 3]]);
    events.extend(vec![4; if index.is_multiple_of(5) { 0 } else { 2 }]);
    events
}

fn session_file() -> String {
    let line = |story: &Story| story.events.iter().map(|event| format!("E{}", event + 1)).collect::<Vec<_>>().join(" ");
    let lines = synthetic().stories.iter().map(|story| format!("blk_1,Normal,{}\n", line(story))).collect::<String>();
    format!("BlockId,Label,EventSequence\n{lines}")
}

/// What the program writes, run with so many threads.
fn learnt_bytes(sessions: &Path, threads: &str, seed: &str) -> Vec<u8> {
    let output = sessions.with_file_name(format!("{threads}-{seed}.onnx"));
    let run = Command::new(env!("CARGO_BIN_EXE_hdfs-vigil"))
        .env("RAYON_NUM_THREADS", threads)
        .args(["learn", "--name", "same", "--epochs", "2", "--seed", seed, "-o"])
        .args([&output, sessions])
        .output()
        .expect("the program runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read(&output).expect("a model was written")
}

fn scorer(learned: &Learned) -> Scorer {
    let bytes = onnx::write(&learned.contract, &learned.weights).expect("what was learnt can be written");
    Scorer::from_bytes(&bytes).expect("what was written loads")
}

fn check_golden(scorer: &mut Scorer, golden: &[Golden]) {
    let windows: Vec<Window> = golden.iter().map(|golden| Window { tokens: golden.tokens.clone() }).collect();
    for (score, golden) in scores(scorer, &windows).iter().zip(golden) {
        assert!((score.score - golden.score).abs() < 1e-4, "score {} of {golden:?}", score.score);
        assert!((score.distance - golden.distance).abs() < 1e-4, "distance {} of {golden:?}", score.distance);
    }
}

fn scores(scorer: &mut Scorer, windows: &[Window]) -> Vec<Score> {
    scorer.score(windows).into_iter().map(|score| score.expect("scores")).collect()
}

fn flagged(profile: &Profile, scores: &[Score]) -> usize {
    let threshold = first_threshold(&profile.calibration);
    scores.iter().filter(|score| score.score > threshold && score.distance > profile.calibration.distance_max).count()
}

fn window(profile: &Profile, corpus: &Corpus, begin: Begin, events: &[u32]) -> Window {
    let tokens = tokens(profile, corpus);
    Encoder::new(profile).encode(begin, events.iter().map(|&event| tokens[event as usize])).0
}

/// Where a block of HDFS_v1 rests: when it has been written, copied or deleted, and nothing is under way. A stretch of reads is one
/// rest. A copied block has a replica too many, so its copying is under way until one has been deleted.
fn rests(corpus: &Corpus, story: &Story) -> Vec<usize> {
    let is_read =
        |event: u32| ["Served block", "exception while serving"].iter().any(|text| corpus.texts[event as usize].contains(text));
    let stretches = (1..story.events.len()).filter(|&length| !is_read(story.events[length]));
    stretches.filter(|&length| is_at_rest(corpus, &story.events[..length])).collect()
}

fn is_at_rest(corpus: &Corpus, events: &[u32]) -> bool {
    let count = |text: &str| events.iter().filter(|&&event| corpus.texts[event as usize].contains(text)).count();
    let [receiving, received, stored] = ["Receiving block", "<*>Received block<*>", "blockMap updated"].map(count);
    let [asked, started, copied] = ["to replicate", "Starting thread to transfer", ":Transmitted"].map(count);
    let is_written =
        count("allocateBlock") == 1 && receiving >= 3 && received == receiving && count("PacketResponder <*> for") == 3;
    let is_copied = asked == started && started == copied && stored >= receiving + asked;
    let [invalid, deleted] = ["invalidSet", "Deleting block"].map(count);
    is_written && is_copied && if asked > 0 { deleted > 0 } else { invalid == deleted }
}

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/hdfs-v1").join(file)
}

/// Sessions of the shared data; `None`, said aloud, where there is none.
fn sessions(file: &str) -> Option<Corpus> {
    let path = real_data::path(&format!("hdfs_v1/{file}"))?;
    Some(Corpus::from_session_files(&[path], None).expect("session files can be read"))
}

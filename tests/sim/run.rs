//! Drives a pipeline through a program: how chunks are cut, when scores come back, when the process dies.

use std::collections::VecDeque;

use hdfs_vigil::pipeline::event::zone::Zone;
use hdfs_vigil::pipeline::event::{Chunk, SourceId, StreamId, Token, WallTime};
use hdfs_vigil::pipeline::profile::{
    Calibration, CountPattern, DrainSettings, FIRST_EVENT, Profile, START, Scope, UNKNOWN, VocabularyEntry,
};
use hdfs_vigil::pipeline::session::assemble;
use hdfs_vigil::pipeline::session::{Score, Window};
use hdfs_vigil::pipeline::stats::Stats;
use hdfs_vigil::pipeline::swap::Swapped;
use hdfs_vigil::pipeline::verdict::{
    Alert, BlockFinding, DomainFinding, Explanation, Finding, HostFinding, domain, threshold, trouble,
};
use hdfs_vigil::pipeline::{Pipeline, Settings, front};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::checkpoints::Checkpoints;
use crate::cluster::{Cluster, Line};

/// What of an alert must not depend on how the logs were read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub id: String,
    pub incident: String,
    pub alert_type: &'static str,
    pub reason: &'static str,
    /// Seconds since midnight.
    pub second: i64,
    /// The block or the host.
    pub of: String,
    /// Signature and explanation, or what the host says and who says it too.
    pub why: String,
    /// Trouble near a block. It names hosts, so it is not that of one log for all.
    pub nearby: String,
}

/// How a run goes.
pub struct Program {
    seed: u64,
    chunk_bytes_max: usize,
    /// Batches that the scorer may be behind.
    scores_late: usize,
    /// Whether the process dies now and then and goes on from its last checkpoint.
    crashes: bool,
    /// Whether models take over from each other now and then: they say the same, and call templates by other tokens.
    swaps: bool,
    /// The second at which a model takes over that does not know a sentence which the first one knows.
    swap_at: Option<i64>,
    /// Whether the logs grow while they are followed, with the wall clock going as the logs' does.
    live: bool,
}

impl Program {
    /// Everything at once, nothing goes wrong.
    pub fn plain() -> Self {
        Self { seed: 0, chunk_bytes_max: usize::MAX, scores_late: 0, crashes: false, swaps: false, swap_at: None, live: false }
    }

    /// Whatever may happen, but no crash.
    pub fn undisturbed(seed: u64) -> Self {
        Self { crashes: false, ..Self::random(seed) }
    }

    /// Whatever may happen.
    pub fn random(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(!seed);
        Self {
            seed,
            chunk_bytes_max: 1 << random.random_range(3..14),
            scores_late: random.random_range(0..20),
            crashes: random.random_bool(0.7),
            live: random.random_bool(0.5),
            swaps: random.random_bool(0.5),
            swap_at: None,
        }
    }

    /// The same, with one swap to a model that knows less, as soon as all logs were read up to this second.
    pub fn with_swap_at(self, second: i64) -> Self {
        Self { swaps: false, live: false, swap_at: Some(second), ..self }
    }
}

/// Runs the program over the logs; what was told, in order.
pub fn run(cluster: &Cluster, program: &Program) -> Vec<Told> {
    let mut driver = Driver::new(cluster, program);
    driver.run();
    driver.told
}

/// The counters at the end of a run.
pub fn stats(cluster: &Cluster, program: &Program) -> Stats {
    let mut driver = Driver::new(cluster, program);
    driver.run();
    driver.pipeline.stats()
}

struct Driver<'a> {
    cluster: &'a Cluster,
    program: &'a Program,
    random: ChaCha8Rng,
    logs: Vec<Vec<u8>>,
    /// Of each log: the second of each line, and where the line ends.
    written: Vec<Vec<(i64, usize)>>,
    /// The wall clock of a live run, seconds.
    now: i64,
    offsets: Vec<usize>,
    /// The model that judges.
    model: Model,
    pipeline: Pipeline,
    scores: VecDeque<Vec<Option<Score>>>,
    checkpoints: Checkpoints,
    stood: Option<Stood>,
    told: Vec<Told>,
}

/// The models. The first two say the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Its vocabulary is in the order of a story.
    Forward,
    /// Its vocabulary is in the other order.
    Backward,
    /// It does not know that blocks are written.
    Lacking,
}

/// Where a run stood at its last checkpoint, beside what that holds of the pipeline.
#[derive(Clone)]
struct Stood {
    model: Model,
    offsets: Vec<usize>,
}

impl<'a> Driver<'a> {
    fn new(cluster: &'a Cluster, program: &'a Program) -> Self {
        let streams = &cluster.streams;
        let log = |lines: &Vec<Line>| lines.iter().flat_map(|line| [line.text.as_bytes(), b"\n"].concat()).collect();
        let mut driver = Self {
            cluster,
            program,
            random: ChaCha8Rng::seed_from_u64(program.seed),
            logs: streams.iter().map(log).collect(),
            written: streams.iter().map(|lines| written(lines)).collect(),
            now: 0,
            offsets: vec![0; streams.len()],
            model: Model::Forward,
            pipeline: Pipeline::new(settings(cluster), profile(Model::Forward)).unwrap(),
            scores: VecDeque::new(),
            checkpoints: Checkpoints::default(),
            stood: None,
            told: Vec::new(),
        };
        driver.open();
        driver
    }

    fn run(&mut self) {
        loop {
            if (0..self.logs.len()).all(|stream| self.offsets[stream] == self.end(stream)) {
                if !self.is_before_swap() {
                    break;
                }
                self.take_over(Model::Lacking);
                continue;
            }
            match self.next_stream() {
                Some(stream) => self.read(stream),
                None => self.wait(),
            }
            self.score(self.program.scores_late);
            if self.program.crashes && self.random.random_bool(0.1) {
                self.save();
            } else if self.program.crashes && self.random.random_bool(0.03) {
                self.crash();
            } else if self.program.swaps && self.random.random_bool(0.05) {
                self.swap();
            }
        }
        (0..self.logs.len()).for_each(|stream| self.pipeline.close_stream(StreamId(stream as u32)));
        self.score(0);
        self.pipeline.flush();
        self.score(0);
    }

    fn open(&mut self) {
        for stream in 0..self.logs.len() {
            self.pipeline.open_stream(StreamId(stream as u32), &self.cluster.names[stream], false);
        }
    }

    fn next_stream(&mut self) -> Option<usize> {
        let unread = (0..self.logs.len()).filter(|stream| self.offsets[*stream] < self.size(*stream));
        let unread: Vec<usize> = unread.collect();
        (!unread.is_empty()).then(|| unread[self.random.random_range(0..unread.len())])
    }

    /// Bytes that have been written to a log by now.
    fn size(&self, stream: usize) -> usize {
        if self.program.live { self.written_by(stream, self.now) } else { self.end(stream) }
    }

    /// Bytes of a log that are to be read before anything else happens.
    fn end(&self, stream: usize) -> usize {
        let swap_at = self.program.swap_at.filter(|_| self.is_before_swap());
        swap_at.map_or(self.logs[stream].len(), |second| self.written_by(stream, second))
    }

    fn written_by(&self, stream: usize, second: i64) -> usize {
        let written = &self.written[stream];
        let lines = written.partition_point(|(written, _)| *written <= second);
        lines.checked_sub(1).map_or(0, |last| written[last].1)
    }

    fn is_before_swap(&self) -> bool {
        self.program.swap_at.is_some() && self.model != Model::Lacking
    }

    /// Time passes, and the logs grow or are silent. As the daemon does, looks at the logs before it looks at the clock.
    fn wait(&mut self) {
        self.now += self.random.random_range(1..90);
        for stream in 0..self.logs.len() {
            if self.offsets[stream] < self.size(stream) {
                self.pipeline.handle_behind(StreamId(stream as u32));
            }
        }
        self.pipeline.handle_time(WallTime(self.now * 1000));
    }

    fn read(&mut self, stream: usize) {
        let offset = self.offsets[stream];
        let most = self.program.chunk_bytes_max.min(self.size(stream) - offset);
        let end = offset + self.random.random_range(1..=most);
        let id = StreamId(stream as u32);
        let chunk =
            Chunk { stream: id, source: SourceId(stream as u32), offset: offset as u64, bytes: &self.logs[stream][offset..end] };
        self.pipeline.handle_chunk(chunk, WallTime(self.now * 1000));
        self.offsets[stream] = end;
        if end == self.logs[stream].len() {
            self.pipeline.close_stream(id);
        } else if end == self.size(stream) {
            self.pipeline.handle_caught_up(id);
        }
    }

    /// Scores what there is, but hands the scores back `late` batches later.
    fn score(&mut self, late: usize) {
        while let Some(windows) = self.pipeline.poll_batch() {
            self.scores.push_back(windows.iter().map(|window| Some(score(window, self.model))).collect());
        }
        while self.scores.len() > late {
            let scores = self.scores.pop_front().unwrap();
            self.pipeline.handle_scores(scores, |_, _| {});
        }
        while let Some(alert) = self.pipeline.poll_alert() {
            self.told.push(told(&alert));
        }
    }

    /// As the daemon does: what was read is judged before another model takes over.
    fn swap(&mut self) {
        let next = if self.model == Model::Forward { Model::Backward } else { Model::Forward };
        let open = self.pipeline.stats().sessions_open;
        let swapped = self.take_over(next);
        assert_eq!((swapped.sessions_mapped, swapped.sessions_ended), (open, 0), "each knows what the other knows");
    }

    fn take_over(&mut self, next: Model) -> Swapped {
        let mut sessions_ended = 0;
        loop {
            self.score(0);
            match self.pipeline.end_foreign(&profile(next)) {
                0 => break,
                ended => sessions_ended += ended,
            }
        }
        let swapped = self.pipeline.swap(profile(next)).unwrap();
        self.model = next;
        Swapped { sessions_ended: sessions_ended + swapped.sessions_ended, ..swapped }
    }

    fn save(&mut self) {
        self.checkpoints.save(&mut self.pipeline, &mut self.random);
        self.stood = Some(Stood { model: self.model, offsets: self.offsets.clone() });
    }

    fn crash(&mut self) {
        let Some(Stood { model, offsets }) = self.stood.clone() else { return };
        let restored = self.checkpoints.read();
        let (settings, profile) = (settings(self.cluster), profile(model));
        self.pipeline = Pipeline::restore(settings, profile, restored.pipeline, &restored.templates, true).unwrap();
        self.checkpoints.go_on(&mut self.pipeline);
        self.model = model;
        self.offsets = offsets;
        self.scores.clear();
        self.open();
        for stream in (0..self.logs.len()).filter(|stream| self.offsets[*stream] == self.logs[*stream].len()) {
            self.pipeline.close_stream(StreamId(stream as u32));
        }
    }
}

/// The second of each line, as a running maximum, and where the line ends.
fn written(lines: &[Line]) -> Vec<(i64, usize)> {
    let (mut second, mut end) = (i64::MIN, 0);
    let each = lines.iter().map(|line| {
        second = second.max(line.second);
        end += line.text.len() + 1;
        (second, end)
    });
    each.collect()
}

/// A scorer that knows one normal story: everything else is as wrong as its counts are away from it.
pub fn score(window: &Window, model: Model) -> Score {
    let count = |word| window.tokens.iter().filter(|found| Some(**found) == token(model, word)).count() as i64;
    let counts = [0, 1, 2].map(count);
    let wanted = [1, if model == Model::Lacking { 0 } else { 3 }, 1];
    let whole = window.tokens[0] == START;
    let miss = |(found, wanted): (&i64, i64)| if whole { (found - wanted).abs() } else { (found - wanted).max(0) };
    let unknown = window.tokens.iter().filter(|token| **token == UNKNOWN).count() as i64;
    let distance = (counts.iter().zip(wanted).map(miss).sum::<i64>() + unknown) as f32;
    let token_error = window.tokens.iter().map(|token| if *token == UNKNOWN { 20.0 } else { 0.5 + distance }).collect();
    Score { score: 0.5 + distance * 4.0, distance, token_error }
}

pub fn told(alert: &Alert) -> Told {
    let (of, why, nearby) = match &alert.finding {
        Finding::Block(finding) => {
            (finding.block.to_string(), format!("{} {}", alert.signature, explanation(finding)), nearby(finding))
        }
        Finding::Host(finding) => (finding.host.clone(), complaints(finding), String::new()),
        Finding::Template(finding) => (finding.template.clone(), format!("x{}", finding.events), String::new()),
        Finding::Domain(finding) => (finding.model.clone(), shares(finding), String::new()),
        Finding::Regime(finding) => (finding.model.clone(), format!("{:?} {:?}", finding.before, finding.after), String::new()),
        Finding::State(_) => unreachable!("the pipeline has no state on a disk"),
    };
    Told {
        id: alert.id.to_string(),
        incident: alert.incident.to_string(),
        alert_type: alert.alert_type.name(),
        reason: alert.reason.name(),
        second: alert.time.0.div_euclid(1000) % 86_400,
        of,
        why,
        nearby,
    }
}

/// All of it but where the records stand, which is not the same in one log for all, and the order in which a model names what is missing.
fn explanation(finding: &BlockFinding) -> String {
    let Explanation { deviations, nearest, end_nats, events, templates, evidence, .. } = &finding.explanation;
    let said = deviations.iter().map(|d| format!("{:?} {} {} of {}, {}", d.kind, d.template, d.count, d.expected, d.seen));
    let shown: Vec<_> = events.iter().map(|event| (&templates[usize::from(event.template)], event.nats)).collect();
    let said = said.collect::<Vec<_>>().join("; ");
    let mut nearest = nearest.clone();
    nearest.iter_mut().for_each(|story| story.events.sort_by(|a, b| a.template.cmp(&b.template)));
    format!("{said}; {nearest:?} {end_nats:?} {shown:?} and {} records more", evidence.len())
}

fn nearby(finding: &BlockFinding) -> String {
    let nearby =
        finding.nearby.iter().map(|near| format!("{} {} x{} from {}", near.host, near.template, near.count, near.first.0));
    nearby.collect::<Vec<_>>().join("; ")
}

fn complaints(finding: &HostFinding) -> String {
    let said = finding.complaints.iter().map(|complaint| {
        let text = complaint.subject.as_deref().unwrap_or(&complaint.template);
        format!("{} {text} x{}", complaint.reason.name(), complaint.count)
    });
    format!("{} also on {}", said.collect::<Vec<_>>().join("; "), finding.also_on.join(", "))
}

fn shares(finding: &DomainFinding) -> String {
    let unknown = finding.templates.iter().map(|template| format!("{} x{}", template.template, template.events));
    format!("{} of {}: {}", finding.share, finding.held_back, unknown.collect::<Vec<_>>().join("; "))
}

/// What a model calls the sentence with this of the words.
fn token(model: Model, word: u16) -> Option<Token> {
    let index = words(model).iter().position(|known| *known == WORDS[usize::from(word)])?;
    Some(Token(FIRST_EVENT + index as u16))
}

/// The words that a model knows, in the order of its tokens.
fn words(model: Model) -> Vec<&'static str> {
    match model {
        Model::Forward => WORDS.to_vec(),
        Model::Backward => WORDS.into_iter().rev().collect(),
        Model::Lacking => WORDS.into_iter().filter(|word| *word != "written").collect(),
    }
}

pub fn profile(model: Model) -> Profile {
    let entry = |text: &str| VocabularyEntry {
        text: format!("block <*> was {text}"),
        begins: text == "opened",
        endless_buckets_max: (text == "read").then_some(3),
    };
    let counts = [(0, 1), (1, 3), (2, 1)].into_iter();
    let mut pattern: Vec<(Token, u16)> = counts.filter_map(|(word, count)| Some((token(model, word)?, count))).collect();
    pattern.sort_unstable();
    Profile {
        name: "sim".to_owned(),
        scope: Scope::Cluster,
        vocabulary: words(model).into_iter().map(entry).collect(),
        drain: DrainSettings::hdfs(),
        calibration: Calibration {
            sessions: 100,
            // The cluster scores higher than its training did, so that its regime changes.
            quantiles: vec![0.1; 101],
            log_mean: 0.1_f64.ln(),
            log_sd: 0.3,
            k: 3.0,
            floor: 0.15,
            ceiling: 12.0,
            epsilon: 1e-3,
            patterns: vec![CountPattern { counts: pattern, sessions: 100 }],
            weights: vec![1.0; usize::from(FIRST_EVENT) + words(model).len()],
            distance_max: 0.0,
        },
    }
}

/// What may happen to a block.
const WORDS: [&str; 4] = ["opened", "written", "done", "read"];

pub fn settings(cluster: &Cluster) -> Settings {
    Settings {
        front: front::Settings {
            merge_delay_millis: 2000,
            merge_bytes_max: 1 << 24,
            join_grace_millis: 300_000,
            pool: None,
            pools: cluster.pools.clone(),
            zone: Zone::utc(),
        },
        assemble: assemble::Settings { quiet_millis: 300_000, idle_millis: 3_600_000, bytes_max: 1 << 24 },
        // A few blocks are many here.
        threshold: threshold::Settings { regime_episodes: 16, regime_share: 0.6, ..threshold::Settings::default() },
        trouble: TROUBLE,
        domain: DOMAIN,
        incident_open_millis: 86_400_000,
        silence_millis: 30_000,
    }
}

/// A few blocks are many here.
const DOMAIN: domain::Settings = domain::Settings {
    enabled: true,
    template_share: 0.001,
    template_blocks: 3,
    unknown_share_max: 0.35,
    far_share_max: 0.9,
    mute: Vec::new(),
};

/// What is told of hosts here: in hours, what a cluster tells in days.
pub const TROUBLE: trouble::Settings =
    trouble::Settings { enabled: true, learning_millis: 900_000, quiet_millis: 600_000, burst_records: 4, burst_factor: 2 };

//! The configuration: what users may change, read in layers and checked as a whole, so that a [`Config`] cannot be wrong.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};
use jiff::tz::TimeZone;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::limits::{
    MUTED_TEMPLATES_MAX, POOLS_MAX, REDACT_PATTERN_BYTES_MAX, REDACT_PATTERNS_MAX, REGIME_EPISODES_MAX, STRANGER_BLOCKS_MAX,
};
use crate::pipeline::event::pool::StreamPool;

mod layers;
mod quantity;
mod redaction;
mod secret;

pub use layers::{DEFAULT_TOML, ENVIRONMENT_PREFIX, Layers, Mistakes, Reader};
pub use quantity::{bytes, display_bytes, display_duration, duration};
pub use redaction::{REDACTED, Redaction};
pub use secret::Secret;

/// Everything that users may change. The keys, their units and defaults are described in `config/default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which logs are followed, and how.
    pub ingest: Ingest,
    /// How stories are gathered.
    pub pipeline: Pipeline,
    /// What judges them.
    pub model: Model,
    /// What scores are held against.
    pub threshold: Threshold,
    /// What is told of hosts.
    pub trouble: Trouble,
    /// What becomes of what the model does not know.
    pub domain: Domain,
    /// What is told, and where besides the webhook.
    pub alerts: Alerts,
    /// Where alerts are sent; `None` = nowhere.
    pub webhook: Option<Webhook>,
    /// Where metrics and readiness answer.
    pub http: Http,
    /// What survives a restart.
    pub state: State,
    /// How the daemon ends.
    pub shutdown: Shutdown,
    /// What the daemon says of itself.
    pub log: Log,
}

/// Which logs are followed, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingest {
    /// Directories or globs; never empty.
    pub paths: Vec<String>,
    /// File name patterns never followed.
    pub exclude: Vec<glob::Pattern>,
    /// Where an unknown log is joined.
    pub start_at: StartAt,
    /// How often paths are looked through.
    pub scan_interval: Duration,
    /// Zone of the logs' time stamps.
    pub timezone: TimeZone,
    /// Pool of lines that name none; `None` = the only one seen.
    pub pool: Option<String>,
    /// The same for some logs, by their names.
    pub pools: Vec<StreamPool>,
}

/// Where a log is joined that the state directory does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the next line that is written.
    End,
    /// With its first line.
    Beginning,
    /// With the first line not older than this.
    Back(Duration),
}

/// How stories are gathered. Durations are log time unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// How long records wait for older ones of other logs.
    pub merge_delay: Duration,
    /// Memory of the records that wait.
    pub merge_bytes_max: usize,
    /// Silence after which a block is judged.
    pub session_quiet: Duration,
    /// Silence after which a session is released; longer than `session_quiet`.
    pub session_idle: Duration,
    /// Memory of open sessions.
    pub session_bytes_max: usize,
    /// Time after joining a log during which stories may begin in the middle.
    pub join_grace: Duration,
    /// Time after which a firing incident is resolved as expired.
    pub incident_open_max: Duration,
    /// Wall time without any line after which the wall clock moves log time on.
    pub silence: Duration,
}

/// What judges stories.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The model file.
    pub path: PathBuf,
    /// Whether another content of that file takes over by itself.
    pub watch: bool,
    /// The ONNX Runtime library; `None` = as the system finds it.
    pub onnxruntime: Option<PathBuf>,
}

/// What scores are held against. `None` = as the model was calibrated.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Whether it moves at all.
    pub adapt: bool,
    /// Weight of one new episode in the running statistic.
    pub lambda: f64,
    /// Standard deviations at which a score is clipped before it moves the threshold.
    pub winsor_sd: f64,
    /// Standard deviations above the mean.
    pub k: Option<f64>,
    /// Lowest threshold, nats.
    pub floor: Option<f32>,
    /// Highest threshold, nats; above `floor` when both are set.
    pub ceiling: Option<f32>,
    /// Scores that a change of regime is seen in.
    pub regime_episodes: u32,
    /// Share of them that has to stand above the threshold for it.
    pub regime_share: f64,
}

/// What is told of hosts, whatever their blocks do. Durations are log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whether hosts are watched.
    pub enabled: bool,
    /// How long a log is followed before warnings can be new, and anything a burst.
    pub learning: Duration,
    /// How long trouble rests before it is told again.
    pub quiet: Duration,
    /// Records of one kind in a minute that a burst has at least.
    pub burst_records: u32,
    /// How many times the usual they are.
    pub burst_factor: u32,
}

/// What becomes of what the model does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Whether templates become neutral by themselves, and whether the model can be out of its domain.
    pub enabled: bool,
    /// Share of the last episodes above which a template is part of normal stories.
    pub template_share: f64,
    /// Blocks in which it has turned up by then.
    pub template_blocks: u32,
    /// Share of unknown events above which the model is out of its domain.
    pub unknown_share_max: f64,
    /// Share of stories far from every normal one above which it is too.
    pub far_share_max: f64,
    /// Texts of templates that are passed over.
    pub mute: Vec<String>,
}

/// What is told, and where besides the webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// Whether alerts are sent.
    pub mode: Mode,
    /// Alerts older than this in log time are kept and shown, not sent.
    pub notify_age_max: Duration,
    /// File of JSON lines.
    pub file: Option<PathBuf>,
    /// Size at which that file is renamed.
    pub file_bytes_max: u64,
    /// Renamed files that are kept.
    pub files_kept_max: u32,
    /// Whether alerts are written to standard output.
    pub terminal: Terminal,
    /// Whether alerts are written to the daemon's log.
    pub log: bool,
    /// What is taken out of alerts, wherever they go.
    pub redact: Redaction,
}

/// Whether alerts are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The webhook is called.
    Notify,
    /// Everything but that.
    Observe,
}

impl Mode {
    /// The name in the configuration and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Observe => "observe",
        }
    }
}

/// Whether alerts are written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// If it is a terminal.
    Auto,
    /// Whatever it is.
    Always,
    /// Never.
    Never,
}

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// http or https, with a host. It may hold a credential: print [`Webhook::host`] instead.
    pub url: reqwest::Url,
    /// Every body is signed with each of these; never empty.
    pub secrets: Vec<Secret>,
    /// Time for one attempt.
    pub timeout: Duration,
    /// Attempts at one alert.
    pub attempts_max: u32,
}

impl Webhook {
    /// Scheme, host and port of the address: what may be printed of it.
    #[must_use]
    pub fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// Where metrics and readiness answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// The address; `None` = nowhere.
    pub listen: Option<SocketAddr>,
}

/// What survives a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Directory of the checkpoint.
    pub directory: PathBuf,
    /// How often it is written.
    pub checkpoint_interval: Duration,
}

/// How the daemon ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Shutdown {
    /// Time to finish what is on its way.
    pub grace: Duration,
}

/// What the daemon says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Directives as `EnvFilter` reads them.
    pub level: String,
    /// How events are written to standard error.
    pub format: LogFormat,
}

/// How events are written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl Config {
    /// Reads `files` over the defaults and the environment of this process over both, and checks the result.
    ///
    /// # Errors
    /// Every mistake at once, each with its file or variable, key, value, bound and remedy.
    pub fn load(files: &[PathBuf]) -> Result<Self, Mistakes> {
        Self::check(&Layers::read(files, environment())?)
    }

    /// Checks what `layers` say. Reads the webhook's secret file, and nothing else.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn check(layers: &Layers) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(layers);
        let config = Self::read(&mut reader);
        reader.finish(config)
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            ingest: Ingest::read(reader),
            pipeline: Pipeline::read(reader),
            model: Model::read(reader),
            threshold: Threshold::read(reader),
            trouble: Trouble::read(reader),
            domain: Domain::read(reader),
            alerts: Alerts::read(reader),
            webhook: Webhook::read(reader),
            http: Http { listen: reader.take("http.listen", optional(address)) },
            state: State {
                directory: reader.take("state.directory", path),
                checkpoint_interval: reader.take("state.checkpoint_interval", duration_in(100 * MILLISECOND..=HOUR)),
            },
            shutdown: Shutdown { grace: reader.take("shutdown.grace", duration_in(Duration::ZERO..=10 * MINUTE)) },
            log: Log {
                level: reader.take("log.level", level),
                format: reader.take("log.format", one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)])),
            },
        }
    }
}

/// All layers as TOML, without what may hold a credential.
#[must_use]
pub fn effective(layers: &Layers) -> String {
    layers.to_toml(hide_credentials)
}

/// What differs from the manual, one `key = value (from where)` each, without what may hold a credential.
#[must_use]
pub fn changed(layers: &Layers) -> Vec<String> {
    layers.changed(hide_credentials).into_iter().map(|(key, value, place)| format!("{key} = {value} ({place})")).collect()
}

/// What to print in place of a value that may hold a credential: addresses of webhooks often do, in their path.
fn hide_credentials(key: &str, value: &Value) -> Option<String> {
    let url = text(value).ok().filter(|url| key == "webhook.url" && !url.is_empty())?;
    Some(
        reqwest::Url::parse(&url)
            .map_or_else(|_| "hidden".to_owned(), |url| format!("{}/hidden", url.origin().ascii_serialization())),
    )
}

/// The variables of this process that are text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

impl Ingest {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            paths: reader.take("ingest.paths", paths),
            exclude: reader.take("ingest.exclude", patterns),
            start_at: reader.take("ingest.start_at", start_at),
            scan_interval: reader.take("ingest.scan_interval", duration_in(50 * MILLISECOND..=MINUTE)),
            timezone: reader.take("ingest.timezone", timezone),
            pool: reader.take("ingest.pool", optional(pool)),
            pools: reader.take("ingest.pools", stream_pools),
        }
    }
}

impl Pipeline {
    fn read(reader: &mut Reader<'_>) -> Self {
        let pipeline = Self {
            merge_delay: reader.take("pipeline.merge_delay", duration_in(Duration::ZERO..=MINUTE)),
            merge_bytes_max: reader.take("pipeline.merge_bytes_max", bytes_in(64 << 10..=1_000_000_000)),
            session_quiet: reader.take("pipeline.session_quiet", duration_in(SECOND..=DAY)),
            session_idle: reader.take("pipeline.session_idle", duration_in(SECOND..=30 * DAY)),
            session_bytes_max: reader.take("pipeline.session_bytes_max", bytes_in(1_000_000..=64_000_000_000)),
            join_grace: reader.take("pipeline.join_grace", duration_in(Duration::ZERO..=DAY)),
            incident_open_max: reader.take("pipeline.incident_open_max", duration_in(HOUR..=90 * DAY)),
            silence: reader.take("pipeline.silence", duration_in(SECOND..=HOUR)),
        };
        if pipeline.session_idle <= pipeline.session_quiet {
            let quiet = display_duration(pipeline.session_quiet);
            let idle = display_duration(pipeline.session_idle);
            reader.note("pipeline.session_idle", &format!("is {idle}, must be longer than pipeline.session_quiet ({quiet})"));
        }
        pipeline
    }
}

impl Model {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            path: reader.take("model.path", path),
            watch: reader.take("model.watch", boolean),
            onnxruntime: reader.take("model.onnxruntime", optional(path)),
        }
    }
}

impl Threshold {
    fn read(reader: &mut Reader<'_>) -> Self {
        let threshold = Self {
            adapt: reader.take("threshold.adapt", boolean),
            lambda: reader.take("threshold.lambda", number_in(0.00001..=0.5)),
            winsor_sd: reader.take("threshold.winsor_sd", number_in(1.0..=10.0)),
            k: reader.take("threshold.k", unless_model(0.5..=20.0)),
            floor: reader.take("threshold.floor", unless_model(0.0..=1000.0)).map(|nats| nats as f32),
            ceiling: reader.take("threshold.ceiling", unless_model(0.0..=1000.0)).map(|nats| nats as f32),
            regime_episodes: reader.take("threshold.regime_episodes", whole_in(256..=REGIME_EPISODES_MAX as u32)),
            regime_share: reader.take("threshold.regime_share", number_in(0.6..=1.0)),
        };
        if let (Some(floor), Some(ceiling)) = (threshold.floor, threshold.ceiling)
            && floor >= ceiling
        {
            reader.note("threshold.ceiling", &format!("is {ceiling}, must be above threshold.floor ({floor})"));
        }
        threshold
    }
}

impl Trouble {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            enabled: reader.take("trouble.enabled", boolean),
            learning: reader.take("trouble.learning", duration_in(Duration::ZERO..=7 * DAY)),
            quiet: reader.take("trouble.quiet", duration_in(MINUTE..=DAY)),
            burst_records: reader.take("trouble.burst_records", whole_in(2..=1_000_000)),
            burst_factor: reader.take("trouble.burst_factor", whole_in(2..=1000)),
        }
    }
}

impl Domain {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            enabled: reader.take("domain.enabled", boolean),
            template_share: reader.take("domain.template_share", number_in(0.001..=0.5)),
            template_blocks: reader.take("domain.template_blocks", whole_in(2..=STRANGER_BLOCKS_MAX as u32)),
            unknown_share_max: reader.take("domain.unknown_share_max", number_in(0.05..=1.0)),
            far_share_max: reader.take("domain.far_share_max", number_in(0.05..=1.0)),
            mute: reader.take("domain.mute", muted),
        }
    }
}

impl Alerts {
    fn read(reader: &mut Reader<'_>) -> Self {
        let terminals = &[("auto", Terminal::Auto), ("always", Terminal::Always), ("never", Terminal::Never)];
        Self {
            mode: reader.take("alerts.mode", one_of(&[("notify", Mode::Notify), ("observe", Mode::Observe)])),
            notify_age_max: reader.take("alerts.notify_age_max", duration_in(MINUTE..=30 * DAY)),
            file: reader.take("alerts.file", optional(path)),
            file_bytes_max: reader.take("alerts.file_bytes_max", bytes_in(64 << 10..=10_000_000_000)) as u64,
            files_kept_max: reader.take("alerts.files_kept_max", whole_in(0..=100)),
            terminal: reader.take("alerts.terminal", one_of(terminals)),
            log: reader.take("alerts.log", boolean),
            redact: reader.take("alerts.redact", redaction),
        }
    }
}

impl Webhook {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.take("webhook.url", optional(url));
        let secret_file = reader.take("webhook.secret_file", optional(path));
        let timeout = reader.take("webhook.timeout", duration_in(100 * MILLISECOND..=MINUTE));
        let attempts_max = reader.take("webhook.attempts_max", whole_in(1..=10));
        let secrets = match (url.is_some(), secret_file) {
            (false, _) => return None,
            (true, None) => Err("is \"\", must name a file with the signing secret, as webhook.url is set".to_owned()),
            (true, Some(file)) => Secret::read(&file),
        };
        let secrets = secrets.map_err(|what| reader.note("webhook.secret_file", &what)).unwrap_or_default();
        Some(Self { url: url?, secrets, timeout, attempts_max })
    }
}

fn text(value: &Value) -> Result<String, String> {
    let ValueKind::String(text) = &value.kind else {
        return Err("a text in quotes".to_owned());
    };
    Ok(text.clone())
}

fn optional<T>(parse: impl Fn(&Value) -> Result<T, String>) -> impl Fn(&Value) -> Result<Option<T>, String> {
    move |value| {
        let is_unset = text(value).is_ok_and(|text| text.is_empty());
        if is_unset { Ok(None) } else { parse(value).map(Some).map_err(|must| format!("{must}, or \"\" for none")) }
    }
}

fn one_of<T: Copy>(choices: &[(&'static str, T)]) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let chosen = text(value).ok().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        let names = || choices.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
        chosen.map(|(_, choice)| *choice).ok_or_else(names)
    }
}

fn boolean(value: &Value) -> Result<bool, String> {
    match (&value.kind, text(value).as_deref()) {
        (ValueKind::Boolean(truth), _) => Ok(*truth),
        (_, Ok("true")) => Ok(true),
        (_, Ok("false")) => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn duration_in(range: RangeInclusive<Duration>) -> impl Fn(&Value) -> Result<Duration, String> {
    move |value| {
        let read = text(value).ok().and_then(|text| duration(&text)).filter(|duration| range.contains(duration));
        let (least, most) = (display_duration(*range.start()), display_duration(*range.end()));
        read.ok_or_else(|| format!("a duration of {least}..={most}, such as \"{most}\""))
    }
}

fn bytes_in(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<usize, String> {
    move |value| {
        let read = text(value).ok().and_then(|text| bytes(&text)).filter(|bytes| range.contains(bytes));
        let (least, most) = (display_bytes(*range.start()), display_bytes(*range.end()));
        let read = read.and_then(|bytes| usize::try_from(bytes).ok());
        read.ok_or_else(|| format!("a size of {least}..={most}, such as \"{most}\""))
    }
}

/// Numbers of the environment come as text.
fn number(value: &Value) -> Option<f64> {
    value.clone().into_float().ok().filter(|number| number.is_finite())
}

fn number_in(range: RangeInclusive<f64>) -> impl Fn(&Value) -> Result<f64, String> {
    move |value| {
        let read = number(value).filter(|number| range.contains(number));
        read.ok_or_else(|| format!("a number of {}..={}", range.start(), range.end()))
    }
}

fn unless_model(range: RangeInclusive<f64>) -> impl Fn(&Value) -> Result<Option<f64>, String> {
    let number = number_in(range);
    move |value| {
        let is_model = text(value).is_ok_and(|text| text == "model");
        if is_model { Ok(None) } else { number(value).map(Some).map_err(|must| format!("{must}, or \"model\"")) }
    }
}

fn whole_in(range: RangeInclusive<u32>) -> impl Fn(&Value) -> Result<u32, String> {
    move |value| {
        let read = number(value).filter(|number| number.fract() == 0.0).map(|number| number as u32);
        let in_range =
            number(value).is_some_and(|number| (f64::from(*range.start())..=f64::from(*range.end())).contains(&number));
        read.filter(|_| in_range).ok_or_else(|| format!("a whole number of {}..={}", range.start(), range.end()))
    }
}

/// A list, or the comma-separated text that an environment variable holds.
fn list(value: &Value) -> Option<Vec<String>> {
    if let ValueKind::Array(items) = &value.kind {
        return items.iter().map(|item| text(item).ok()).collect();
    }
    let items = text(value).ok()?;
    Some(items.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

fn paths(value: &Value) -> Result<Vec<String>, String> {
    let is_valid = |path: &String| !path.is_empty() && glob::Pattern::new(path).is_ok();
    let read = list(value).filter(|paths| !paths.is_empty() && paths.iter().all(is_valid));
    read.ok_or_else(|| "a list with at least one directory or glob, such as [\"/var/log/hadoop-hdfs\"]".to_owned())
}

fn patterns(value: &Value) -> Result<Vec<glob::Pattern>, String> {
    let read = list(value).and_then(|items| items.iter().map(|item| glob::Pattern::new(item).ok()).collect());
    read.ok_or_else(|| "a list of file name patterns, such as [\"*audit*\"]".to_owned())
}

fn muted(value: &Value) -> Result<Vec<String>, String> {
    let is_telling = |text: &String| text.replace("<*>", "").contains(char::is_alphanumeric);
    let read = list(value).filter(|texts| texts.len() <= MUTED_TEMPLATES_MAX && texts.iter().all(is_telling));
    read.ok_or_else(|| {
        let example = "[\"BLOCK* Recount <*> replicas of <*>\"]";
        format!("a list of at most {MUTED_TEMPLATES_MAX} texts of templates with a word each, such as {example}")
    })
}

fn redaction(value: &Value) -> Result<Redaction, String> {
    let read = list(value).ok_or_else(|| "it is no list".to_owned()).and_then(|patterns| Redaction::new(&patterns));
    let bounds = format!("at most {REDACT_PATTERNS_MAX} regular expressions of at most {REDACT_PATTERN_BYTES_MAX} bytes");
    read.map_err(|why| format!("a list of {bounds}, such as [\"/user/[^/ ]+\"], none of which matches the empty text; {why}"))
}

fn start_at(value: &Value) -> Result<StartAt, String> {
    let text = text(value).unwrap_or_default();
    let back = text.strip_prefix('-').and_then(duration).filter(|back| *back <= 30 * DAY).map(StartAt::Back);
    match text.as_str() {
        "end" => Ok(StartAt::End),
        "beginning" => Ok(StartAt::Beginning),
        _ => back.ok_or_else(|| "\"end\", \"beginning\", or a time back of at most 30d such as \"-2h\"".to_owned()),
    }
}

fn timezone(value: &Value) -> Result<TimeZone, String> {
    let named = |name: &str| TimeZone::get(name).map_err(|_| ());
    let read = match text(value).as_deref() {
        Ok("local") => Ok(TimeZone::system()),
        Ok("UTC") => Ok(TimeZone::UTC),
        Ok(name) => named(name),
        Err(_) => Err(()),
    };
    read.map_err(|()| "\"local\", \"UTC\", or a zone this host knows, such as \"Europe/Berlin\"".to_owned())
}

fn is_pool(text: &str) -> bool {
    text.starts_with("BP-") && text.len() <= POOL_BYTES_MAX && !text.contains(char::is_whitespace)
}

fn stream_pools(value: &Value) -> Result<Vec<StreamPool>, String> {
    let read = |item: String| {
        let (pattern, pool) = item.rsplit_once('=').filter(|(pattern, pool)| !pattern.is_empty() && is_pool(pool))?;
        Some(StreamPool { pattern: pattern.to_owned(), pool: pool.to_owned() })
    };
    let pools = list(value).filter(|items| items.len() <= POOLS_MAX).and_then(|items| items.into_iter().map(read).collect());
    pools.ok_or_else(|| {
        let example = "[\"*namenode-nn1*=BP-1064460171-10.0.0.1-1626388920000\"]";
        format!("a list of at most {POOLS_MAX} log file patterns with their block pools, such as {example}")
    })
}

fn pool(value: &Value) -> Result<String, String> {
    text(value)
        .ok()
        .filter(|text| is_pool(text))
        .ok_or_else(|| "a block pool such as \"BP-1064460171-10.0.0.1-1626388920000\"".to_owned())
}

fn path(value: &Value) -> Result<PathBuf, String> {
    text(value).ok().filter(|path| !path.is_empty()).map(PathBuf::from).ok_or_else(|| "a path in quotes".to_owned())
}

fn address(value: &Value) -> Result<SocketAddr, String> {
    let read = text(value).ok().and_then(|text| text.parse().ok());
    read.ok_or_else(|| "an address with a port, such as \"127.0.0.1:9464\" or \"[::1]:9464\"".to_owned())
}

fn url(value: &Value) -> Result<reqwest::Url, String> {
    let is_web = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let read = text(value).ok().and_then(|text| reqwest::Url::parse(&text).ok()).filter(is_web);
    read.ok_or_else(|| "an address such as \"https://alerts.example.org/hdfs\"".to_owned())
}

fn level(value: &Value) -> Result<String, String> {
    // A lone word that is no level would be taken for the name of a module, and a slip of the pen would silence the daemon.
    let is_clear = |part: &str| part.contains(['=', '[']) || (!part.is_empty() && part.parse::<LevelFilter>().is_ok());
    let is_level = |text: &String| text.split(',').all(is_clear) && EnvFilter::try_new(text).is_ok();
    text(value)
        .ok()
        .filter(is_level)
        .ok_or_else(|| "a level such as \"info\", or directives such as \"info,hdfs_vigil::ingest=debug\"".to_owned())
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Hadoop writes `BP-<number>-<address>-<milliseconds>`: 60 bytes with an IPv6 address; walls off nonsense only.
const POOL_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests;

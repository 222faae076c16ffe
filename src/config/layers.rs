//! Lays the embedded defaults, the given files and the environment over each other, and reads single keys out of the result.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use config::{ConfigError, Environment, FileFormat, Format as _, Map, Source, Value, ValueKind};

/// The manual, which is also the lowest layer.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// What all layers together say: dotted key to value, with the layer that each value is from.
#[derive(Clone, Debug)]
pub struct Layers {
    values: BTreeMap<String, Value>,
    defaults: BTreeMap<String, Value>,
}

/// Everything that is wrong with a configuration, one complete message each; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    /// One message a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Layers {
    /// Reads `files` in order over the defaults, then `environment` (pairs of name and value; those that do not begin with
    /// [`ENVIRONMENT_PREFIX`] are passed over).
    ///
    /// # Errors
    /// Every file that cannot be read or is no TOML. What the values say is not looked at here.
    pub fn read(files: &[PathBuf], environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Mistakes> {
        let defaults = parse("config/default.toml", DEFAULT_TOML).expect("default.toml is TOML, as its test shows");
        let mut builder = config::Config::builder().add_source(defaults.clone());
        let mut mistakes = Vec::new();
        for path in files {
            match read_file(path) {
                Ok(layer) => builder = builder.add_source(layer),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        match builder.add_source(variables(environment)).build() {
            Ok(merged) if mistakes.is_empty() => {
                Ok(Self { values: flatten(merged.cache.kind), defaults: flatten(ValueKind::Table(defaults.0)) })
            }
            Ok(_) => Err(Mistakes(mistakes)),
            Err(error) => Err(Mistakes([mistakes, vec![format!("read config: {error}")]].concat())),
        }
    }

    /// The result as TOML, every key in the order of the manual's sections; `hide` says what to print in place of a value.
    #[must_use]
    pub fn to_toml(&self, hide: impl Fn(&str, &Value) -> Option<String>) -> String {
        let mut text = String::new();
        let mut section = "";
        for (key, value) in &self.values {
            let (table, name) = key.split_once('.').unwrap_or(("", key));
            if table != section {
                let _ = writeln!(text, "{}[{table}]", if section.is_empty() { "" } else { "\n" });
                section = table;
            }
            let shown = hide(key, value).map_or_else(|| show(value), |hidden| format!("{hidden:?}"));
            let _ = writeln!(text, "{name} = {shown}");
        }
        text
    }

    /// What is not from the manual: key, value as TOML, and the file or variable that it is from.
    pub fn changed(&self, hide: impl Fn(&str, &Value) -> Option<String>) -> Vec<(&str, String, String)> {
        let is_changed =
            |(key, value): &(&String, &Value)| self.defaults.get(*key).is_none_or(|default| default.origin() != value.origin());
        let shown = |key, value| hide(key, value).map_or_else(|| show(value), |hidden| format!("{hidden:?}"));
        self.values.iter().filter(is_changed).map(|(key, value)| (key.as_str(), shown(key, value), place(key, value))).collect()
    }

    /// Every key of the manual.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().map(String::as_str)
    }
}

/// Takes keys out of [`Layers`] one by one and gathers every mistake on the way.
///
/// A wrong value is noted and its default given back in its place, so that the caller reads on and all mistakes are told at once.
/// Serde would stop at the first.
#[derive(Debug)]
pub struct Reader<'a> {
    layers: &'a Layers,
    taken: BTreeSet<&'static str>,
    mistakes: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Nothing taken yet.
    #[must_use]
    pub fn new(layers: &'a Layers) -> Self {
        Self { layers, taken: BTreeSet::new(), mistakes: Vec::new() }
    }

    /// The value of `key` as `parse` makes it, which says what the value `must be` when it cannot.
    ///
    /// # Panics
    /// If the manual has no such key or a wrong default for it; the test of the manual sees to that.
    pub fn take<T>(&mut self, key: &'static str, parse: impl Fn(&Value) -> Result<T, String>) -> T {
        self.taken.insert(key);
        let default = self.layers.defaults.get(key).expect("default.toml holds every key");
        let value = self.layers.values.get(key).unwrap_or(default);
        parse(value).unwrap_or_else(|must| {
            self.note(key, &format!("is {}, must be {must}", show(value)));
            parse(default).expect("default.toml holds valid values only")
        })
    }

    /// Notes a mistake in `key` that shows only beside other keys: `what` completes "key …".
    pub fn note(&mut self, key: &str, what: &str) {
        let place = self.layers.values.get(key).map_or_else(|| "config".to_owned(), |value| place(key, value));
        self.mistakes.push(format!("read {place}: {key} {what}"));
    }

    /// Keys taken so far.
    #[must_use]
    pub fn taken(&self) -> &BTreeSet<&'static str> {
        &self.taken
    }

    /// `checked` if nothing was wrong with the keys that were taken; the others are somebody else's.
    ///
    /// # Errors
    /// Every mistake noted.
    pub fn finish_some<T>(self, checked: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() { Ok(checked) } else { Err(Mistakes(self.mistakes)) }
    }

    /// `checked` if nothing was wrong.
    ///
    /// # Errors
    /// Every mistake noted, and every key that nobody took.
    pub fn finish<T>(mut self, checked: T) -> Result<T, Mistakes> {
        let is_unknown = |key: &&String| !self.taken.contains(key.as_str());
        let unknown: Vec<_> = self.layers.values.keys().filter(is_unknown).map(|key| (key, unknown(key, &self.taken))).collect();
        for (key, what) in unknown {
            self.note(key, &what);
        }
        self.finish_some(checked)
    }
}

/// What the name of every environment variable begins with that sets a key.
pub const ENVIRONMENT_PREFIX: &str = "HDFS_VIGIL__";

fn variables(environment: impl IntoIterator<Item = (String, String)>) -> Environment {
    let ours = environment.into_iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
    Environment::with_prefix("HDFS_VIGIL").prefix_separator("__").separator("__").source(Some(ours.collect()))
}

/// A file as a layer; its values remember the path as it was given.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

fn read_file(path: &Path) -> Result<Layer, String> {
    let failed = |error: String| format!("read config {}: {}", path.display(), error.trim_end());
    let remedy = "name a file that can be read, or leave --config out for the defaults";
    let text = std::fs::read_to_string(path).map_err(|error| failed(format!("{error}; {remedy}")))?;
    parse(&path.display().to_string(), &text).map_err(failed)
}

fn parse(origin: &str, text: &str) -> Result<Layer, String> {
    FileFormat::Toml.parse(Some(&origin.to_owned()), text).map(Layer).map_err(|error| error.to_string())
}

/// Dotted keys of all values that are no tables.
fn flatten(root: ValueKind) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let mut open = vec![(String::new(), Value::new(None, root))];
    while let Some((prefix, value)) = open.pop() {
        if let ValueKind::Table(table) = value.kind {
            open.extend(table.into_iter().map(|(key, value)| (join(&prefix, &key), value)));
        } else {
            flat.insert(prefix, value);
        }
    }
    flat
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// The file or the variable that `value` is from.
fn place(key: &str, value: &Value) -> String {
    match value.origin() {
        None => "config (defaults)".to_owned(),
        Some(origin) if origin.contains("environment") => {
            format!("environment variable {ENVIRONMENT_PREFIX}{}", key.to_uppercase().replace('.', "__"))
        }
        Some(origin) => format!("config {origin}"),
    }
}

fn unknown(key: &str, known: &BTreeSet<&'static str>) -> String {
    let section = key.split('.').next().unwrap_or(key);
    let name = key.rsplit('.').next().unwrap_or(key);
    let elsewhere = known.iter().find(|known| known.rsplit('.').next() == Some(name));
    let siblings: Vec<_> = known.iter().filter_map(|known| known.strip_prefix(section)?.strip_prefix('.')).collect();
    match elsewhere {
        Some(elsewhere) => format!("is no key; did you mean {elsewhere}?"),
        None if siblings.is_empty() => "is in no known section; see config/default.toml for all of them".to_owned(),
        None => format!("is no key; [{section}] has {}", siblings.join(", ")),
    }
}

/// `value` as TOML writes it.
fn show(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::Table(_) => value.to_string(),
    }
}

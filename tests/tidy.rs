//! House rules as tests: what reviewers would otherwise have to say again and again. Each message says what to do.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_pipeline_is_pure() {
    let words = [
        ("std::fs", "bytes come in as chunks"),
        ("std::net", "the pipeline has no I/O"),
        ("std::io", "the pipeline has no I/O"),
        ("std::process", "the pipeline has no I/O"),
        ("std::env", "settings come in as arguments"),
        ("std::thread", "one thread owns the pipeline"),
        ("std::sync", "one thread owns the pipeline"),
        ("std::time", "times are LogTime and WallTime, and come in as arguments"),
        ("std::collections::Hash", "use hashbrown with FxBuildHasher, or a BTreeMap"),
        ("RandomState", "use FxBuildHasher"),
        ("crossbeam", "one thread owns the pipeline"),
        ("rand::", "a seed would have to come in as an argument"),
        ("tokio", "asynchrony lives at the edges"),
        ("async ", "asynchrony lives at the edges"),
        ("tracing::", "what an operator should hear of goes out as an output or in Stats"),
        ("println!", "what an operator should hear of goes out as an output or in Stats"),
        ("thread_local!", "state lives in the pipeline's own values"),
    ];
    check(|file, report| {
        if file.is_pipeline() {
            for (line, text) in file.code() {
                for (word, remedy) in words.iter().filter(|(word, _)| text.contains(word)) {
                    report.add(line, format!("the pipeline must not use `{}`: {remedy}", word.trim()));
                }
            }
        }
    });
}

#[test]
fn dependencies_point_inwards() {
    check(|file, report| {
        let allowed: &[&str] = match file.name() {
            "src/limits.rs" => &[],
            _ if file.is_pipeline() => &["pipeline", "limits"],
            _ => return,
        };
        for (line, text) in file.code() {
            for module in text.split("crate::").skip(1).map(first_word).filter(|module| !allowed.contains(module)) {
                report.add(line, format!("it must not know `crate::{module}`: pass what it needs as an argument"));
            }
        }
    });
}

#[test]
fn the_first_line_of_a_file_says_what_it_is_for() {
    check(|file, report| {
        let sentence = file.text.lines().next().and_then(|line| line.strip_prefix("//! "));
        if sentence.is_none_or(|sentence| sentence.len() < 20) {
            report.add(1, "begin the file with `//! ` and a sentence that says what it is for".to_string());
        }
    });
}

#[test]
fn nothing_unwraps_outside_tests() {
    check(|file, report| {
        for (line, text) in file.code() {
            if text.contains(".unwrap()") || text.contains(".unwrap_err()") || text.contains(".expect(\"\")") {
                report
                    .add(line, "return an error, or state the invariant: `expect(\"a frame has only whole lines\")`".to_string());
            }
        }
    });
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), "todo!(", "unimplemented!(", "dbg!("];
    check(|file, report| {
        for (line, text) in file.lines() {
            for word in words.iter().filter(|word| text.contains(*word) && !is_quoted(text, word)) {
                report.add(line, format!("do it now, or take `{word}` out and open an issue"));
            }
        }
    });
}

#[test]
fn files_fit_into_a_head() {
    check(|file, report| {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            report
                .add(lines, format!("{lines} lines are more than {FILE_LINES_MAX}: find the noun that wants a file of its own"));
        }
    });
}

#[test]
fn functions_fit_onto_a_screen() {
    check(|file, report| {
        for Function { name, line, lines } in file.functions() {
            let allowed = LONG_FUNCTIONS.iter().any(|(long, _)| *long == format!("{}::{name}", file.name()));
            if lines > FUNCTION_LINES_MAX && !allowed {
                let remedy =
                    "keep decisions in the parent, move straight-line work out; or allow it in tests/tidy.rs, with the reason";
                report.add(line, format!("`{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}: {remedy}"));
            }
        }
    });
}

#[test]
fn allowed_long_functions_are_still_there_and_long() {
    let sources = sources();
    for (name, reason) in LONG_FUNCTIONS {
        let (path, function) = name.split_once("::").expect("a path and a name");
        let file = sources.iter().find(|file| file.name() == path);
        let lines = file
            .and_then(|file| file.functions().into_iter().find(|other| other.name == function))
            .map(|function| function.lines);
        assert!(
            lines.is_some_and(|lines| lines > FUNCTION_LINES_MAX),
            "{name} is not long any more: take it off the list ({reason})"
        );
    }
}

#[test]
fn every_bound_says_what_happens_at_it() {
    check(|file, report| {
        let documented =
            |line: usize| file.text.lines().nth(line.saturating_sub(2)).is_some_and(|before| before.starts_with("///"));
        if file.name() == "src/limits.rs" {
            for (line, _) in file.lines().filter(|(line, text)| text.starts_with("pub const ") && !documented(*line)) {
                report.add(line, "say its unit, what happens at it, and the counter that tells".to_string());
            }
        }
    });
}

#[test]
fn exceptions_to_lints_have_a_reason() {
    check(|file, report| {
        for (line, text) in file.lines() {
            let attribute = text.trim_start().starts_with("#[") || text.trim_start().starts_with("#![");
            let exception = attribute && (text.contains("allow(") || text.contains("expect("));
            if exception && !file.text_from(line).contains("reason = ") {
                report.add(line, "give it a `reason = \"…\"`".to_string());
            }
        }
    });
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    check(|file, report| {
        for (line, text) in file.test_code() {
            let sleeps = text.contains("thread::sleep(") || text.contains("time::sleep(");
            if sleeps && !is_quoted(text, "sleep(") && !SLEEPERS.iter().any(|(name, _)| *name == file.name()) {
                report.add(line, "wait for the condition, with a deadline".to_string());
            }
        }
    });
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let words = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("arti", "factory"), concat!("/home", "/")];
    let mut report = Vec::new();
    for path in walk(&root(), &|path| !is_generated(path)) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (index, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                report.push(format!(
                    "{}:{}: `{word}` belongs to one machine: make it relative, or configurable",
                    show(&path),
                    index + 1
                ));
            }
        }
    }
    finish(&report);
}

#[test]
fn the_map_shows_what_is_there() {
    let mut found = Vec::new();
    for row in table_rows(MAP, "## Code map") {
        let paths: Vec<&str> = row.iter().flat_map(|cell| quoted_words(cell)).filter(|word| word.contains('/')).collect();
        let folder = paths.first().map_or(root(), |first| folder_of(first));
        for path in paths.iter().filter(|path| !root().join(path).exists() && !folder.join(path).exists()) {
            found.push(format!("{MAP}: `{path}` is not there: say where it went"));
        }
    }
    finish(&found);
}

#[test]
fn what_holds_the_invariants_is_there() {
    let sources = sources();
    let files: Vec<String> = walk(&root(), &|path| !is_generated(path)).iter().map(|path| show(path)).collect();
    let is_file = |name: &str| files.iter().any(|file| Path::new(file).ends_with(name)) || root().join(name).exists();
    let is_test = |name: &str| sources.iter().any(|file| file.text.contains(&format!("fn {name}(")));
    let mut found = Vec::new();
    for row in table_rows(MAP, "## Invariants") {
        for word in quoted_words(row.last().expect("a row has cells")) {
            let is_there = if word.contains(['/', '.']) { is_file(word) } else { !word.contains('_') || is_test(word) };
            if !is_there {
                found.push(format!("{MAP}: `{word}` holds an invariant and is not there: name what holds it now"));
            }
        }
    }
    finish(&found);
}

#[test]
fn the_map_fits_into_a_head() {
    let lines = read(MAP).lines().count();
    assert!(lines <= MAP_LINES_MAX, "{MAP} has {lines} lines, more than {MAP_LINES_MAX}: a map leaves things out");
}

#[test]
fn pages_name_commands_and_files_that_exist() {
    let mut found = Vec::new();
    for page in ["README.md", "CONTRIBUTING.md", MAP] {
        for (index, line) in read(page).lines().enumerate() {
            for path in commands(line).into_iter().chain(links(line)).filter(|path| !root().join(path).exists()) {
                found.push(format!("{page}:{}: {path} is not there: name what takes its place", index + 1));
            }
        }
    }
    finish(&found);
}

#[test]
fn registries_are_not_named() {
    let words = [
        concat!("docker", ".io"),
        concat!("deb.debian", ".org"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("registry.npm", "js"),
    ];
    let mut found = Vec::new();
    for path in walk(&root(), &|path| !is_generated(path) && !path.ends_with("Cargo.lock")) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in words.iter().filter(|word| text.contains(**word)) {
            found.push(format!("{}: `{word}` is for the machine's settings to say: use the short name", show(&path)));
        }
    }
    finish(&found);
}

#[test]
fn the_rules_see_what_they_look_for() {
    let file = Source { path: root().join("src/pipeline/x.rs"), text: EXAMPLE.to_string() };
    let code: Vec<&str> = file.code().map(|(_, text)| text).collect();
    assert_eq!(code, ["fn outer() {", "    let url = \"http://x\"; ", "}"]);
    assert_eq!(file.test_code().count(), 4);
    let functions: Vec<(String, usize)> = file.functions().into_iter().map(|function| (function.name, function.lines)).collect();
    assert_eq!(functions, [("outer".to_string(), 3), ("inner".to_string(), 1)]);
    assert!(is_quoted("a(\"b!(\")", "b!(") && !is_quoted("b!(\"x\")", "b!("));
    assert_eq!(quoted_words("`a/b` and `c`: d"), ["a/b", "c"]);
    assert_eq!(commands("hdfs-vigil check-config --config x  # why"), ["src/cli/check_config.rs"]);
    assert_eq!(commands("scripts/test --all"), ["scripts/test"]);
    assert_eq!(links("see [a](b/c.md) and [d](https://e)"), ["b/c.md"]);
    assert!(table_rows(MAP, "## Code map").len() > 5 && table_rows(MAP, "## Invariants").len() > 5);
}

/// Files that may sleep, and why.
const SLEEPERS: &[(&str, &str)] =
    &[("tests/it/vigil.rs", "pauses between two looks at what another process does, and lets crashes come at random moments")];

/// Lines of a source file, its tests included.
const FILE_LINES_MAX: usize = 800;

/// The page that shows where things are.
const MAP: &str = "ARCHITECTURE.md";

/// Lines of the map.
const MAP_LINES_MAX: usize = 200;

/// Lines of a function, from its name to its last brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that read better in one piece: `path::name`, and why.
const LONG_FUNCTIONS: &[(&str, &str)] =
    &[("src/cli/demo/line.rs::act_text", "one sentence for each kind of act, to be read beside each other like a table")];

const EXAMPLE: &str = "//! x
fn outer() {
    let url = \"http://x\"; // why
}

#[cfg(test)]
mod tests {
    fn inner() {}
}
";

/// Looks at every source file and fails with all that was found.
fn check(rule: impl Fn(&Source, &mut Report)) {
    let mut found = Vec::new();
    for file in sources() {
        let mut report = Report { name: file.name().to_string(), items: Vec::new() };
        rule(&file, &mut report);
        found.append(&mut report.items);
    }
    finish(&found);
}

fn finish(found: &[String]) {
    assert!(found.is_empty(), "{} times against the house rules:\n{}", found.len(), found.join("\n"));
}

/// What was found in one file.
struct Report {
    name: String,
    items: Vec<String>,
}

impl Report {
    fn add(&mut self, line: usize, message: String) {
        self.items.push(format!("{}:{line}: {message}", self.name));
    }
}

struct Source {
    path: PathBuf,
    text: String,
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

impl Source {
    /// Path from the root of the project.
    fn name(&self) -> &str {
        self.path.strip_prefix(root()).ok().and_then(Path::to_str).expect("sources lie below the root and have UTF-8 names")
    }

    fn is_pipeline(&self) -> bool {
        self.name() == "src/pipeline.rs" || self.name().starts_with("src/pipeline/")
    }

    /// Whether the file holds nothing but tests or benchmarks.
    fn is_test(&self) -> bool {
        !self.name().starts_with("src/") || self.name().ends_with("/tests.rs") || self.name().contains("/tests/")
    }

    /// How many lines stand before the tests, which come last.
    fn code_lines(&self) -> usize {
        if self.is_test() {
            return 0;
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let begins = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{');
        lines.windows(2).position(begins).unwrap_or(lines.len())
    }

    /// All lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines outside tests, without comments and empty lines.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.lines().take(self.code_lines()).map(|(line, text)| (line, without_comment(text)));
        code.filter(|(_, text)| !text.trim().is_empty())
    }

    /// Lines of tests.
    fn test_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().skip(self.code_lines())
    }

    /// This line and the three below.
    fn text_from(&self, line: usize) -> String {
        self.text.lines().skip(line - 1).take(4).collect::<Vec<_>>().join("\n")
    }

    /// Functions, found by the indentation that rustfmt gives them.
    fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.text.lines().collect();
        let begins = self.lines().filter_map(|(line, text)| Some((line, function_name(text)?)));
        begins.map(|(line, name)| Function { lines: function_lines(&lines[line - 1..]), name, line }).collect()
    }
}

/// Name of the function that begins on this line, if one does.
fn function_name(text: &str) -> Option<String> {
    let (before, after) = without_comment(text).split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async"];
    before.split_whitespace().all(|word| words.contains(&word)).then(|| first_word(after).to_string())
}

/// Lines up to the brace that stands below the first letter; one where there is none, as in a trait.
fn function_lines(lines: &[&str]) -> usize {
    if lines[0].trim_end().ends_with(['}', ';']) {
        return 1;
    }
    let indent = lines[0].len() - lines[0].trim_start().len();
    let end = format!("{}}}", " ".repeat(indent));
    lines.iter().position(|line| *line == end).map_or(1, |last| last + 1)
}

/// The line up to `//`, unless that stands inside quotes.
fn without_comment(text: &str) -> &str {
    let comment = text.match_indices("//").find(|(at, _)| !is_inside_quotes(text, *at));
    comment.map_or(text, |(at, _)| &text[..at])
}

/// Whether a word stands inside a string where it first stands.
fn is_quoted(text: &str, word: &str) -> bool {
    text.find(word).is_some_and(|at| is_inside_quotes(text, at))
}

/// Whether a path begins with this, which HDFS's own `/user/…` does not.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric()))
}

fn is_inside_quotes(text: &str, at: usize) -> bool {
    text[..at].matches('"').count() % 2 == 1
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Cells of the rows of the table below a heading, without its own two rows of head and rule.
fn table_rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(page);
    let below = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let rows = below.filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::to_string).collect()).collect()
}

/// What stands in backticks.
fn quoted_words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Files that must be there for the command that a line of an example begins with.
fn commands(line: &str) -> Vec<String> {
    let first = line.split_whitespace().next().unwrap_or_default();
    let sub_command = line.strip_prefix("hdfs-vigil ").map(|rest| first_word(&rest.replace('-', "_")).to_string());
    let script = first.starts_with("scripts/").then(|| first.to_string());
    sub_command.map(|name| format!("src/cli/{name}.rs")).into_iter().chain(script).collect()
}

/// Targets of links into the project.
fn links(line: &str) -> Vec<String> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_string).collect()
}

/// The folder that a path is, or lies in.
fn folder_of(path: &str) -> PathBuf {
    let path = root().join(path);
    if path.is_dir() { path } else { path.with_file_name("") }
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("failed to read {page}: {error}"))
}

fn sources() -> Vec<Source> {
    let folders = ["src", "tests", "benches", "fuzz"].map(|folder| root().join(folder));
    let is_source =
        |path: &Path| !is_generated(path) && path.is_dir() || path.extension().is_some_and(|extension| extension == "rs");
    let paths = folders.iter().filter(|folder| folder.exists()).flat_map(|folder| walk(folder, &is_source));
    paths.map(|path| Source { text: fs::read_to_string(&path).expect("a source is UTF-8"), path }).collect()
}

/// Files below a folder that pass, as do the folders in which they lie; in the order of their names.
fn walk(folder: &Path, pass: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("failed to read {}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry of a folder").path()).filter(|path| pass(path)).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { walk(&path, pass) } else { vec![path] }).collect()
}

/// What nobody wrote: builds, fetched libraries, the history.
fn is_generated(path: &Path) -> bool {
    let name = show(path);
    let at_root = [".git", "target", "vendor"].contains(&name.split('/').next().unwrap_or_default());
    path.is_symlink() || at_root || ["fuzz/target", "fuzz/artifacts", "fuzz/coverage"].contains(&name.as_str())
}

fn show(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Taken at run time, so that a built test can look at another checkout.
fn root() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for tests"))
}

//! `hdfs-vigil templates`: mines the templates of any log with Drain, and lists them.

use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use regex::bytes::{NoExpand, Regex};

use crate::limits::{EXCEPTION_LINES_MAX, MINED_TEMPLATES_MAX, RECORD_BYTES_MAX};
use crate::pipeline::event::template::changes::Log;
use crate::pipeline::event::template::drain::{Bounds, Drain};
use crate::pipeline::event::template::mask::{Masks, Reader};
use crate::pipeline::event::template::words::WILDCARD;
use crate::pipeline::profile::DrainSettings;

use self::groups::{Groups, Moment};
use self::header::{Head, Header};

mod groups;
mod header;
mod lines;

/// Mines the templates of logs and lists them, commonest first.
///
/// Groups messages by Drain (He et al., ICWS 2017) exactly as its reference implementations do. Logs of HDFS need no options: their
/// headers are known, and block ids, pools, numbers and paths are masked as by the daemon. For other logs say what their lines look
/// like, and what varies in them. Takes files (with their rotated ones, plain or compressed) and directories.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Logs, or directories of logs
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print a row a message, as LogHub's structured logs have it: LineId, EventId, EventTemplate
    #[arg(long)]
    pub csv: bool,
    /// What lines look like, in LogHub's notation; `<Content>` alone for lines without a header
    ///
    /// For example `<Date> <Time> <Level> <Component>: <Content>`. Between the fields stands a regular expression, in which a space is
    /// any white space. Lines that do not look so belong to the message before them.
    #[arg(long, value_name = "FORMAT")]
    pub header_format: Option<String>,
    /// A regular expression; what it matches becomes `<*>` before lines are grouped. May be given again, and replaces the masks for HDFS
    #[arg(long, value_name = "REGEX")]
    pub mask: Vec<String>,
    /// Depth of Drain's parse tree, root and leaf included
    #[arg(long, value_name = "N", default_value_t = DrainSettings::reference().depth, value_parser = clap::value_parser!(u8).range(3..))]
    pub depth: u8,
    /// Share of equal words above which a message joins a group, 0 to 1
    #[arg(long, value_name = "X", default_value_t = DrainSettings::reference().similarity, value_parser = similarity)]
    pub similarity: f32,
    /// Group as the daemon does: words that tell are kept apart, and the exception of a stack trace belongs to its message
    #[arg(long)]
    pub as_daemon: bool,
}

const EXAMPLE: &str = r"Example:
  hdfs-vigil templates --header-format '<Month> <Date> <Time> <Host> <Component>: <Content>' \
    --mask '(\d+\.){3}\d+' /var/log/syslog";

/// Runs the command.
///
/// # Errors
/// When an option is no regular expression, a log cannot be read, or there is too much to be listed.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut miner = Miner::new(args)?;
    lines::read(&args.logs, &mut |line| miner.handle(line))?;
    let Miner { grouper, lines, passed_over, .. } = miner;
    let (groups, mut out) = (grouper.groups, BufWriter::new(out));
    if args.csv {
        groups.write_csv(&mut out)?;
    } else if args.json {
        groups.write_json(lines, passed_over, &mut out)?;
    } else {
        groups.write_text(lines, passed_over, &mut out)?;
    }
    Ok(out.flush()?)
}

/// Makes messages of lines.
struct Miner {
    header: Header,
    grouper: Grouper,
    /// The message that may still get lines.
    message: Message,
    /// Lines of a message, at most.
    message_lines_max: usize,
    lines: u64,
    /// Lines without a header, and without a message before them.
    passed_over: u64,
}

/// A message and the lines that belong to it.
#[derive(Default)]
struct Message {
    moment: Moment,
    content: Vec<u8>,
    /// 0: there is no message.
    lines: usize,
}

impl Miner {
    fn new(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            header: args.header_format.as_deref().map_or(Ok(Header::Hdfs), Header::parse)?,
            grouper: Grouper::new(args)?,
            message: Message::default(),
            message_lines_max: if args.as_daemon { 1 + EXCEPTION_LINES_MAX } else { 1 },
            lines: 0,
            passed_over: 0,
        })
    }

    /// Takes a line, or `None` at the end of a log.
    fn handle(&mut self, line: Option<&[u8]>) -> anyhow::Result<()> {
        let Some(line) = line else { return self.end_message() };
        self.lines += 1;
        if let Some(head) = self.header.split(line) {
            self.end_message()?;
            self.message.begin(self.lines, &head);
        } else if self.message.lines == 0 {
            self.passed_over += 1;
        } else if self.message.lines < self.message_lines_max {
            self.message.add(line);
        }
        Ok(())
    }

    fn end_message(&mut self) -> anyhow::Result<()> {
        let ended = self.message.lines > 0;
        self.message.lines = 0;
        if ended { self.grouper.take(&self.message) } else { Ok(()) }
    }
}

impl Message {
    fn begin(&mut self, line: u64, head: &Head<'_>) {
        self.moment.set(line, head.time);
        self.content.clear();
        self.content.extend_from_slice(head.content);
        self.lines = 1;
    }

    fn add(&mut self, line: &[u8]) {
        let room = RECORD_BYTES_MAX.saturating_sub(self.content.len() + 1);
        self.content.push(b'\n');
        self.content.extend_from_slice(&line[..line.len().min(room)]);
        self.lines += 1;
    }
}

/// Groups messages.
struct Grouper {
    masks: Vec<Regex>,
    reader: Reader,
    drain: Drain,
    changes: Log,
    groups: Groups,
}

impl Grouper {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let mask = |text: &String| Regex::new(text).with_context(|| format!("read --mask {text}"));
        let telling_words_max = if args.as_daemon { DrainSettings::hdfs().telling_words_max } else { 0 };
        let Args { depth, similarity, .. } = *args;
        let settings = DrainSettings { depth, similarity, telling_words_max, ..DrainSettings::reference() };
        let of_hdfs = args.header_format.is_none() && args.mask.is_empty();
        Ok(Self {
            masks: args.mask.iter().map(mask).collect::<anyhow::Result<_>>()?,
            reader: Reader::new(if of_hdfs { Masks::ALL } else { Masks::NONE }),
            drain: Drain::new(&settings, Bounds { first_id: 0, templates_max: MINED_TEMPLATES_MAX + 1, retired_max: 0 }),
            changes: Log::new(),
            groups: Groups::new(args.csv),
        })
    }

    fn take(&mut self, message: &Message) -> anyhow::Result<()> {
        let masked = mask(&self.masks, &message.content);
        self.reader.read(&masked);
        let learned = self.drain.learn(self.reader.words(), &mut self.changes);
        if self.drain.len() > MINED_TEMPLATES_MAX {
            bail!(
                "more than {MINED_TEMPLATES_MAX} templates, the last one in line {}; give --mask for what varies",
                message.moment.line
            );
        }
        let text = |id| self.drain.text(id).expect("it was just learnt");
        self.groups.add(&learned, &message.moment, &message.content, text)
    }
}

/// `content` with the wildcard for all that a mask matches, one mask after the other.
fn mask<'a>(masks: &[Regex], content: &'a [u8]) -> Cow<'a, [u8]> {
    masks.iter().fold(Cow::Borrowed(content), |content, mask| match mask.replace_all(&content, NoExpand(WILDCARD)) {
        Cow::Owned(masked) => Cow::Owned(masked),
        Cow::Borrowed(_) => content,
    })
}

fn similarity(text: &str) -> Result<f32, String> {
    let similarity: f32 = text.parse().map_err(|_| "it is no number".to_owned())?;
    (0.0..=1.0).contains(&similarity).then_some(similarity).ok_or_else(|| "it must be 0 to 1".to_owned())
}

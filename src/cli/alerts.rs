//! `hdfs-vigil alerts`: lists and shows the alerts of the running daemon, acknowledges and mutes them.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Subcommand;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Control;
use crate::daemon::control::wire::{self, AlertList, Changed, MuteList, MuteRequest, Shown, SignatureList};
use crate::limits::ALERTS_LISTED_MAX;

mod client;
mod print;

use client::Client;

/// Lists and shows the alerts of the running daemon, acknowledges and mutes them.
///
/// Talks to the daemon over its control socket, which its user and its group may use.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Configuration of the daemon, which says where its socket is; again for further ones, of which later ones win
    #[arg(long, value_name = "FILE", global = true)]
    config: Vec<PathBuf>,
    /// The control socket itself, instead of a configuration
    #[arg(long, value_name = "PATH", global = true, conflicts_with = "config")]
    socket: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// List the alerts that are kept, newest last
    List(List),
    /// Show an alert with all its lines, as it was told
    Show {
        /// Id of an alert or an incident, or its first 8 digits or more
        id: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say that a change of regime is known, so that it no longer fires
    Ack {
        /// Id of the alert or its incident, or its first 8 digits or more
        id: String,
    },
    /// List what is muted, why, until when, and how many alerts that has held back
    Mutes {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Keep and show alerts of a signature, and do not send them for a while
    Mute {
        /// The 16 digits that blocks which go wrong in the same way share
        signature: String,
        /// For how long, 1m..365d, such as 7d or 12h
        #[arg(long = "for", value_name = "DURATION")]
        period: String,
        /// Why, for whoever wonders later; at most 200 characters
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Send alerts of a signature again
    Unmute {
        /// The signature
        signature: String,
    },
}

/// Which alerts to list.
#[derive(Clone, Debug, clap::Args)]
struct List {
    /// Only those that fire
    #[arg(long)]
    firing: bool,
    /// Only those that were muted
    #[arg(long)]
    muted: bool,
    /// Only those of this signature
    #[arg(long, value_name = "SIGNATURE")]
    signature: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=ALERTS_LISTED_MAX as u64))]
    last: u64,
    /// Count them by signature, which is what can be muted, with an example of each
    #[arg(long)]
    by_signature: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the daemon does not answer, or what it answers.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    check(&args.command)?;
    let client = Client::new(&socket(args)?);
    match &args.command {
        Command::List(list) if list.by_signature => {
            let path = format!("/signatures?{}", list.query());
            answer(client.get(&path)?, list.json, out, |list: SignatureList, out| print::signatures(&list, out))
        }
        Command::List(list) => {
            let path = format!("/alerts?{}", list.query());
            answer(client.get(&path)?, list.json, out, |list: AlertList, out| print::alerts(&list, out))
        }
        Command::Show { id, json } => {
            answer(client.get(&format!("/alerts/{id}"))?, *json, out, |shown: Shown, out| print::shown(&shown, out))
        }
        Command::Ack { id } => changed(client.send("POST", &format!("/alerts/{id}/ack"), "")?, out),
        Command::Mutes { json } => answer(client.get("/mutes")?, *json, out, |list: MuteList, out| print::mutes(&list, out)),
        Command::Mute { signature, period, why } => {
            let body = body(&MuteRequest { signature: signature.clone(), period: period.clone(), why: why.clone() });
            changed(client.send("POST", "/mutes", &body)?, out)
        }
        Command::Unmute { signature } => changed(client.send("DELETE", &format!("/mutes/{signature}"), "")?, out),
    }
}

/// What can be said without the daemon. An id goes into a path, so it must have nothing else in it.
fn check(command: &Command) -> Result<()> {
    match command {
        Command::Show { id, .. } | Command::Ack { id } => {
            let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            ensure!(is_id, "{id:?} is no id; `hdfs-vigil alerts list` lists them");
        }
        Command::Mute { signature, period, why } => {
            let request = MuteRequest { signature: signature.clone(), period: period.clone(), why: why.clone() };
            wire::check(&request).map_err(anyhow::Error::msg)?;
        }
        Command::Unmute { signature } | Command::List(List { signature: Some(signature), .. }) => {
            wire::check_signature(signature).map_err(anyhow::Error::msg)?;
        }
        Command::List(_) | Command::Mutes { .. } => {}
    }
    Ok(())
}

fn socket(args: &Args) -> Result<PathBuf> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let none =
        "the configuration has no control socket (control.socket is \"\"); set it and restart the daemon, or give --socket";
    Control::find(&args.config)?.ok_or_else(|| anyhow::Error::msg(none))
}

impl List {
    fn query(&self) -> String {
        let signature = self.signature.iter().map(|signature| format!("&signature={signature}")).collect::<String>();
        format!("last={}&firing={}&muted={}{signature}", self.last, self.firing, self.muted)
    }
}

fn body(request: &impl Serialize) -> String {
    serde_json::to_string(request).expect("a request has text keys")
}

/// Prints an answer as it came, or for people.
fn answer<T: DeserializeOwned>(
    answer: Value,
    json: bool,
    out: &mut dyn Write,
    print: impl FnOnce(T, &mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    if json {
        return Ok(writeln!(out, "{answer}")?);
    }
    Ok(print(client::read(answer)?, out)?)
}

fn changed(answer: Value, out: &mut dyn Write) -> Result<()> {
    let Changed { done, remark } = client::read(answer)?;
    writeln!(out, "ok      {done}")?;
    remark.map_or(Ok(()), |remark| Ok(writeln!(out, "        {remark}")?))
}

//! What a running daemon answers over HTTP: metrics and readiness, at the address that it chose.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::vigil::Place;

/// To be added to the configuration of a place whose daemon is asked.
pub const LISTEN: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

/// Status and body of the answer to a GET; `None` while nobody answers.
pub fn get(place: &Place, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address(place)?).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// The value of a metric without labels; `None` while there is none.
pub fn metric(place: &Place, name: &str) -> Option<f64> {
    let (_, text) = get(place, "/metrics")?;
    text.lines().find_map(|line| line.strip_prefix("hdfs_vigil_")?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Where the daemon that was started last answers.
fn address(place: &Place) -> Option<String> {
    let said = place.said();
    let line = said.lines().rev().find(|line| line.contains("Answering /metrics"))?;
    let (_, address) = line.split_once("address=")?;
    Some(address.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned())
}

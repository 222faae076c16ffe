//! The naive reference for trouble of hosts: looks back over everything that was said, for every line anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{Line, TROUBLES, in_order};
use crate::run::{TROUBLE, Told};

/// Host, second, reason, and what it says: of an alert on a host, all that needs no hash.
pub type Trouble = (String, i64, &'static str, String);

/// The alerts on hosts among what was told.
pub fn of_hosts(told: &BTreeSet<Told>) -> BTreeSet<Trouble> {
    let hosts = told.iter().filter(|told| told.alert_type == "host.trouble");
    hosts.map(|told| (told.of.clone(), told.second, told.reason, told.why.clone())).collect()
}

/// What should be told of the hosts of these logs.
pub fn naive(streams: &[Vec<Line>]) -> BTreeSet<Trouble> {
    let mut said: Vec<Said> = Vec::new();
    for (second, host, _, line) in in_order(streams) {
        let Some(trouble) = line.trouble else { continue };
        let mut now = Said { second, host, trouble, told: false, reason: None };
        judge(&mut now, &said, streams[host][0].second);
        said.push(now);
    }
    (0..streams.len()).flat_map(|host| alerts(host, &said)).collect()
}

/// One line of trouble and what came of it.
#[derive(Clone, Copy)]
struct Said {
    second: i64,
    host: usize,
    trouble: usize,
    /// Whether it, or what it goes on with, was told, here or on another host.
    told: bool,
    /// Why it begins to be told.
    reason: Option<&'static str>,
}

/// What begins to be told of a host.
struct Gathered {
    opened: i64,
    due: i64,
    episode: usize,
    said: Vec<(usize, &'static str, u32, i64)>,
    closed: bool,
}

fn judge(now: &mut Said, before: &[Said], log_begins: i64) {
    let same = |said: &&Said| said.trouble == now.trouble;
    let own: Vec<&Said> = before.iter().filter(same).filter(|said| said.host == now.host).collect();
    let goes_on = |said: &&Said| now.second - said.second <= QUIET;
    if own.last().is_some_and(|last| last.told && goes_on(last)) {
        now.told = true;
        return;
    }
    let learnt = now.second - log_begins >= TROUBLE.learning_millis / 1000;
    let level = TROUBLES[now.trouble].0;
    let reason = match level {
        "INFO" | "FATAL" => "known_fault",
        "ERROR" if own.is_empty() => "new",
        "WARN" if own.is_empty() && learnt => "new",
        _ if learnt && !own.is_empty() && bursts(now.second, &own) => "burst",
        _ => return,
    };
    let hosts: BTreeSet<usize> = before.iter().map(|said| said.host).filter(|host| *host != now.host).collect();
    let last_of = |host: usize| before.iter().filter(same).rfind(|said| said.host == host);
    let mut others = hosts.into_iter().filter_map(last_of).filter(goes_on);
    let elsewhere = level != "FATAL" && others.any(|said| said.told || reason != "burst");
    now.told = true;
    now.reason = (!elsewhere).then_some(reason);
}

fn bursts(second: i64, own: &[&Said]) -> bool {
    let mut minutes: BTreeMap<i64, u32> = BTreeMap::new();
    own.iter().for_each(|said| *minutes.entry(said.second / 60).or_default() += 1);
    let now = minutes.remove(&(second / 60)).unwrap_or(0) + 1;
    now >= TROUBLE.burst_records.max(TROUBLE.burst_factor * minutes.values().max().unwrap_or(&0))
}

/// The alerts of one host.
fn alerts(host: usize, said: &[Said]) -> Vec<Trouble> {
    let mut gathered: Vec<Gathered> = Vec::new();
    let mut episode = (0, i64::MIN / 2, 0);
    for (index, now) in said.iter().enumerate().filter(|(_, said)| said.host == host) {
        gathered.iter_mut().for_each(|group| group.closed |= group.due <= now.second);
        let open = gathered.iter().any(|group| !group.closed);
        let begins = now.told && !goes_on_from(index, said);
        if now.told && (now.second - episode.1 <= QUIET || open) {
            episode.1 = now.second;
        } else if begins {
            episode = (episode.0 + 1, now.second, 0);
        }
        if let Some(reason) = now.reason {
            if !open {
                let number = gathered.iter().filter(|group| group.episode == episode.0).count();
                let due = now.second + (10 << number.min(6));
                gathered.push(Gathered { opened: now.second, due, episode: episode.0, said: Vec::new(), closed: false });
            }
            let group = gathered.last_mut().unwrap();
            let of_minute =
                said[..=index].iter().filter(|s| s.host == host && s.trouble == now.trouble && s.second / 60 == now.second / 60);
            let (count, first) = match reason {
                "burst" => (of_minute.clone().count() as u32, of_minute.clone().next().unwrap().second),
                _ => (1, now.second),
            };
            group.opened = group.opened.min(first);
            group.said.push((now.trouble, reason, count, first));
        } else if let Some(group) = gathered.last_mut().filter(|group| !group.closed)
            && let Some(entry) = group.said.iter_mut().find(|entry| entry.0 == now.trouble)
        {
            entry.2 += 1;
        }
    }
    gathered.iter().map(|group| group.alert(host, said)).collect()
}

/// Whether the line at `index` goes on with what was told before on its host.
fn goes_on_from(index: usize, said: &[Said]) -> bool {
    let now = said[index];
    let last = said[..index].iter().rfind(|before| before.host == now.host && before.trouble == now.trouble);
    last.is_some_and(|last| last.told && now.second - last.second <= QUIET)
}

impl Gathered {
    fn alert(&self, host: usize, said: &[Said]) -> Trouble {
        let mut own = self.said.clone();
        let rank = |reason: &str| ["known_fault", "new", "burst"].iter().position(|known| *known == reason);
        let level = |trouble: usize| ["FATAL", "ERROR", "WARN", "INFO"].iter().position(|known| *known == TROUBLES[trouble].0);
        own.sort_by_key(|(trouble, reason, _, first)| (rank(reason), level(*trouble), *first));
        let text = |trouble: usize| TROUBLES[trouble].2.rsplit_once("from ").map_or(TROUBLES[trouble].2, |(_, subject)| subject);
        let texts: Vec<String> =
            own.iter().map(|(trouble, reason, count, _)| format!("{reason} {} x{count}", text(*trouble))).collect();
        let also: BTreeSet<usize> = said
            .iter()
            .filter(|other| other.host != host && other.second >= self.opened && other.second < self.due)
            .filter(|other| own.iter().any(|entry| entry.0 == other.trouble))
            .map(|other| other.host)
            .collect();
        let also: Vec<String> = also.into_iter().map(|host| format!("dn{host}")).collect();
        let why = format!("{} also on {}", texts.join("; "), also.join(", "));
        (format!("dn{host}"), self.opened, own[0].1, why)
    }
}

const QUIET: i64 = TROUBLE.quiet_millis / 1000;

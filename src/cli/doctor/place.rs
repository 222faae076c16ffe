//! Looks at what the daemon needs of its host besides logs and a model: a directory, an address, somebody to tell.

use std::io;
use std::net::TcpListener;
use std::path::Path;

use super::access::User;
use super::{Check, CheckState};
use crate::config::Config;

/// Whether the checkpoint can be written.
pub fn check_state(directory: &Path, user: &User) -> Check {
    let there = directory.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(directory);
    let shown = directory.display();
    if !user.may_write(there) {
        let remedy = format!("sudo install -d -o {} {shown} (the systemd unit does it by itself)", user.name());
        return Check::bad("state", &format!("{} may not write {}", user.name(), there.display()), Some(remedy));
    }
    let found = if there == directory { "is there and can be written" } else { "is not there yet and can be made" };
    Check::good("state", &format!("{shown} {found}"))
}

/// Whether metrics and readiness can be asked for.
pub fn check_listen(config: &Config) -> Option<Check> {
    let address = config.http.listen?;
    Some(match TcpListener::bind(address) {
        Ok(_) => Check::good("metrics", &format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Check {
            name: "metrics",
            state: CheckState::Doubtful,
            found: format!("something answers on {address} already, maybe a hdfs-vigil that runs"),
            remedy: Some("if it is not hdfs-vigil, set http.listen to another address".to_owned()),
        },
        Err(error) => {
            let remedy = "set http.listen to an address of this host, with a port above 1023";
            Check::bad("metrics", &format!("listen on {address}: {error}"), Some(remedy.to_owned()))
        }
    })
}

/// Whether anybody would hear of an alert. The address of a webhook may hold a credential; its host may be shown.
pub fn check_telling(config: &Config) -> Option<Check> {
    if let Some(webhook) = &config.webhook {
        return Some(Check::good("alerts", &format!("sent to {} and signed", webhook.host())));
    }
    let kept = config.alerts.file.as_ref().map_or("the log".to_owned(), |file| file.display().to_string());
    Some(Check {
        name: "alerts",
        state: CheckState::Doubtful,
        found: format!("kept in {kept}, sent to nobody"),
        remedy: Some("set webhook.url and webhook.secret_file to be told of alerts".to_owned()),
    })
}

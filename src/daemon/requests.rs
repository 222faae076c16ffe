//! What operators ask of the loop: done, then written into a checkpoint, then answered.

use tracing::info;

use super::Daemon;
use crate::daemon::clock;
use crate::daemon::control::{Answer, Ask, Request};
use crate::daemon::mutes::{Fate, Turn};
use crate::pipeline::event::WallTime;

impl Daemon {
    /// Does what is asked and answers. Who has asked may not listen any more.
    pub(super) fn handle_request(&mut self, Request { ask, answer }: Request) {
        let _ = answer.send(self.answer(ask));
    }

    /// Ends mutes that are over.
    pub(super) fn expire_mutes(&mut self, now: WallTime) {
        for turn in self.mutes.expire(now, self.clock.now()) {
            match turn {
                Turn::Over(signature, held_back) => {
                    info!(signature, held_back, "A mute has expired; its alerts are sent again.");
                }
                Turn::HoldsAgain(signature) => info!(signature, "The clock was set back; the mute holds again."),
            }
        }
        self.metrics.mutes.set(i64::try_from(self.mutes.count(now)).unwrap_or(i64::MAX));
        self.metrics.mutes_forgotten.inc_by(self.mutes.forgotten().saturating_sub(self.metrics.mutes_forgotten.get()));
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        let now = clock::now();
        self.expire_mutes(now);
        match ask {
            Ask::Mutes => Answer::Mutes(self.mutes.list(now)),
            Ask::Mute { signature, period, why } => match self.mutes.mute(&signature, &why, period, now) {
                Ok(replaced) => {
                    info!(signature, seconds = period.as_secs(), why, "An operator has muted a signature.");
                    self.hold_back_waiting(&signature, now);
                    self.done(replaced)
                }
                Err(refused) => Answer::Refused(refused),
            },
            Ask::Unmute { signature } => match self.mutes.unmute(&signature, now) {
                Ok(held_back) => {
                    info!(signature, held_back, "An operator has unmuted a signature.");
                    self.done(Some(held_back))
                }
                Err(refused) => Answer::Refused(refused),
            },
            Ask::Acknowledge(incident) => {
                if !self.engine.pipeline.acknowledge(incident) {
                    return Answer::NotFiring;
                }
                info!(%incident, "An operator has acknowledged a change of regime.");
                self.done(None)
            }
        }
    }

    /// What waits to be sent is muted as well.
    fn hold_back_waiting(&mut self, signature: &str, now: WallTime) {
        let Self { mutes, outbox, metrics, .. } = self;
        let held_back = outbox.hold_back(signature, |alert| match mutes.handle_alert(alert, now, true) {
            Fate::Muted(muted) => Some(muted),
            Fate::Sent | Fate::Kept => None,
        });
        metrics.alerts_muted.inc_by(held_back);
    }

    fn done(&mut self, replaced: Option<u64>) -> Answer {
        self.expire_mutes(clock::now());
        let is_kept = self.checkpoint().is_ok();
        Answer::Done { replaced, is_kept }
    }
}

//! What an alert says of what the model does not know: a template that has become frequent, or traffic that does not fit it.

use serde::{Deserialize, Serialize};

use crate::pipeline::verdict::{DomainFinding, Reason, TemplateFinding};

use super::words::{grouped, quoted_start};
use super::{Edge, Record, clean};

/// What was found of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTemplateDocument {
    /// Its text, as `domain.mute` takes it, unless it is too long or not all of it may be told; `advice` does not name that then.
    pub template: String,
    /// Name of the model that does not know it.
    pub model: String,
    /// One plain sentence.
    pub summary: String,
    /// Its events so far.
    pub events: u64,
    /// Episodes of blocks in which it has turned up so far.
    pub episodes: u64,
    /// Log time of the first event, as [`super::Document::time`].
    pub first: String,
    /// Log time of the last.
    pub last: String,
    /// What to do, in this order.
    pub advice: Vec<String>,
}

/// What was found of the model's domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainDocument {
    /// Name of the model.
    pub model: String,
    /// One plain sentence.
    pub summary: String,
    /// The share that was held against its limit, 0..1.
    pub share: f64,
    /// The limit.
    pub share_max: f64,
    /// The commonest templates that the model does not know.
    pub unknown_templates: Vec<StrangerDocument>,
    /// Episodes of blocks that were anomalous and not told meanwhile.
    pub held_back: u64,
    /// What to do, in this order.
    pub advice: Vec<String>,
}

/// A template that the model does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrangerDocument {
    /// Its text.
    pub text: String,
    /// Its events so far.
    pub events: u64,
    /// Episodes of blocks in which it has turned up so far.
    pub episodes: u64,
}

impl NewTemplateDocument {
    /// `records` are those quoted.
    pub(super) fn new(finding: &TemplateFinding, records: &[Record], edge: &Edge<'_>) -> Self {
        let TemplateFinding { model, template: text, events, episodes, first, last } = finding;
        let (template, blocks, model) = (edge.template(text, records), grouped(*episodes), clean(model));
        let said = quoted_start(&template);
        let mute = (template == *text).then_some(MUTE);
        Self {
            template,
            summary: format!(
                "Model {model} does not know what {blocks} blocks say: {said}. From now on it is left out of their stories."
            ),
            model,
            events: *events,
            episodes: *episodes,
            first: edge.time(*first),
            last: edge.time(*last),
            advice: std::iter::once(LEARN).chain(mute).map(str::to_owned).collect(),
        }
    }
}

impl DomainDocument {
    /// `records` are those quoted.
    pub(super) fn new(finding: &DomainFinding, reason: Reason, records: &[Record], edge: &Edge<'_>) -> Self {
        let DomainFinding { model, share, share_max, templates, held_back } = finding;
        let resolved = matches!(reason, Reason::Recovered | Reason::ModelChanged);
        Self {
            model: clean(model),
            summary: summary(finding, reason),
            share: *share,
            share_max: *share_max,
            unknown_templates: templates.iter().map(|template| StrangerDocument::new(template, records, edge)).collect(),
            held_back: *held_back,
            advice: if resolved { Vec::new() } else { vec![LEARN.to_owned(), LIMITS.to_owned()] },
        }
    }

    /// Leaves out the least common template; false when none is left.
    pub(super) fn leave_out(&mut self) -> bool {
        self.unknown_templates.pop().is_some()
    }
}

impl StrangerDocument {
    fn new(finding: &TemplateFinding, records: &[Record], edge: &Edge<'_>) -> Self {
        Self { text: edge.template(&finding.template, records), events: finding.events, episodes: finding.episodes }
    }
}

/// What a person on call has to know first.
fn summary(finding: &DomainFinding, reason: Reason) -> String {
    let (model, share) = (clean(&finding.model), percent(finding.share));
    let silent = "No blocks are told of until it fits again; trouble of hosts still is.";
    if reason == Reason::UnknownShare {
        return format!("Model {model} does not fit these logs: it does not know {share} of what they say of blocks. {silent}");
    }
    if reason == Reason::FarShare {
        return format!(
            "Model {model} does not fit these logs, or hardly any block is well: {share} of the stories are like no normal one. {silent}"
        );
    }
    let episodes = match finding.held_back {
        1 => "One story was".to_owned(),
        held_back => format!("{} stories were", grouped(held_back)),
    };
    let why = if reason == Reason::ModelChanged { "was replaced by another one" } else { "fits the logs again" };
    format!("Model {model} {why}, and blocks are told of. {episodes} anomalous and not told meanwhile.")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

const LEARN: &str =
    "hdfs-vigil learn LOGS -o model.onnx, with logs of this cluster since the change; then let it judge (model.path)";
const MUTE: &str = "or add the template to domain.mute, if it is nobody's concern";
const LIMITS: &str = "if the model is the right one: domain.unknown_share_max and domain.far_share_max are the limits";

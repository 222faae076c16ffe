//! What becomes neutral and when the model is out of its domain, sentence by sentence and verdict by verdict.

use super::*;
use crate::pipeline::event::{BlockId, PoolId, SourceId, Token};
use crate::pipeline::profile::tests::profile;
use crate::pipeline::verdict::{AlertType, Finding};

#[test]
fn what_many_blocks_say_is_told_once_and_left_out_from_then_on() {
    for (blocks, told, left_out) in [(19, "", 0), (20, "template.new moved@19", 1), (50, "template.new moved@19", 31)] {
        let mut world = World::with_traffic(usual());
        let heard = (0..blocks).filter(|_| world.block_says(&["moved"])).count();
        assert_eq!((world.told(), heard), (told.to_owned(), left_out), "{blocks} blocks");
        assert_eq!(world.stats().neutral_templates, u64::from(left_out > 0));
    }
}

#[test]
fn what_warns_or_speaks_of_failure_speaks_against_its_block_for_ever() {
    for said in ["moved!", "write failed"] {
        let mut world = World::with_traffic(usual());
        assert!((0..100).all(|_| !world.block_says(&[said])), "{said}");
        assert_eq!(world.told(), "");
    }
    let mut world = World::with_traffic(usual());
    world.block_says(&["moved!"]);
    assert!((0..100).all(|_| !world.block_says(&["moved"])), "it has warned once");
}

#[test]
fn what_warns_in_the_words_of_a_neutral_template_still_speaks() {
    let mut world = World::with_traffic(usual());
    world.blocks_say(30, &["moved"]);
    assert!(!world.block_says(&["moved!"]));
    assert!(world.block_says(&["moved"]), "and the others stay left out");
}

#[test]
fn what_few_blocks_say_speaks_against_them() {
    for (every, expected) in [(101, ""), (50, "template.new moved@")] {
        let mut world = World::with_traffic(usual());
        for block in 0..30 * every {
            world.block_says(if block % every == 0 { &["moved"] } else { &["known"] });
        }
        assert!(world.told().starts_with(expected) && world.told().is_empty() == expected.is_empty(), "one in {every}");
    }
}

#[test]
fn one_block_that_says_it_often_is_one_block() {
    let mut world = World::with_traffic(usual());
    for _ in 0..100 {
        world.episode_says(1, &["moved"]);
    }
    assert_eq!(world.told(), "");
}

#[test]
fn nothing_is_decided_before_enough_was_seen() {
    let mut world = World::new(usual());
    world.blocks_say(19, &["a", "b", "c", "d", "e", "f"]);
    assert_eq!(world.told(), "");
    world.block_says(&["a"]);
    assert_eq!(world.told(), "model.domain_mismatch unknown_share a,b,c,d,e,f@114");
}

#[test]
fn a_model_that_knows_little_says_so_once_and_of_no_template() {
    let mut world = World::new(usual());
    world.blocks_say(500, &["a", "b", "c", "known"]);
    assert!(world.domain.is_mismatched());
    assert_eq!(world.told().matches('@').count(), 1, "{}", world.told());
    let before = world.alerts.len();
    world.blocks_say(2000, &["known", "known", "known", "known"]);
    assert!(!world.domain.is_mismatched());
    let told: Vec<&str> = world.alerts.iter().skip(before).map(|alert| alert.alert_type.name()).collect();
    assert_eq!(told, ["model.domain_resolved"]);
    assert_eq!(world.alerts[before].incident, world.alerts[before - 1].incident);
}

#[test]
fn a_burst_of_errors_is_no_foreign_cluster() {
    let mut world = World::new(usual());
    world.blocks_say(500, &["a!", "b!", "write failed", "known"]);
    assert_eq!((world.told(), world.stats().unknown_share), (String::new(), 0.0));
}

#[test]
fn a_model_is_out_of_its_domain_when_nearly_all_stories_are_far() {
    for (percent, stories, expected) in [
        (60, 3000, ""),
        (100, 199, ""),
        (100, 200, "model.domain_mismatch far_share @199"),
        (95, 3000, "model.domain_mismatch far_share @199"),
    ] {
        let mut world = World::new(usual());
        (0..stories).for_each(|number| world.judge(number * 7 % 100 < percent));
        assert_eq!(world.told(), expected, "{percent} % of {stories}");
    }
}

#[test]
fn it_is_back_when_the_share_has_fallen_to_half_of_the_limit() {
    let mut world = World::new(usual());
    (0..1000).for_each(|_| world.judge(true));
    assert!(!world.domain.is_sound(&case(0)));
    (0..7).for_each(|number| world.domain.hold_back(&case(number)));
    (0..549).for_each(|_| world.judge(false));
    assert!(world.domain.is_mismatched(), "{}", world.stats().far_share);
    (0..2).for_each(|_| world.judge(false));
    assert!(!world.domain.is_mismatched() && world.domain.is_sound(&case(0)));
    let Some(Finding::Domain(found)) = world.alerts.back().map(|alert| &alert.finding) else { panic!("it is resolved") };
    assert_eq!((found.held_back, world.stats().held_back_episodes), (7, 7));
}

#[test]
fn nothing_becomes_neutral_when_it_is_switched_off() {
    let mut world = World::with_traffic(off());
    assert!((0..500).all(|_| !world.block_says(&["moved", "b", "c"])));
    (0..500).for_each(|_| world.judge(true));
    assert_eq!(world.told(), "");
    assert!(world.stats().unknown_share > 0.3, "but it is measured");
    let mut world = World::with_traffic(usual());
    world.blocks_say(30, &["moved"]);
    world.domain = Domain::restore(off(), &profile(&["known"]), world.domain.kept().clone());
    assert!(!world.block_says(&["moved"]), "what was neutral speaks again");
}

#[test]
fn a_template_that_widens_stays_neutral_unless_it_speaks_of_failure() {
    for (text, neutral) in [("<*> moved", true), ("<*> or failed", false)] {
        let mut world = World::with_traffic(usual());
        world.blocks_say(30, &["moved"]);
        let former = world.id("moved");
        world.domain.handle_template(TemplateId(900), &[former], text);
        let event = event(TemplateId(900), false);
        assert_eq!(world.domain.handle_event(&event, Seen { episode: 0, is_news: true, counts: true }, 0), neutral, "{text}");
        let held = SessionEvent { position: event.position, template: former, token: UNKNOWN, grave: false };
        assert!(world.domain.leaves_out(&held), "what sessions hold of the former one stays left out");
        assert_eq!(world.stats().neutral_templates, u64::from(neutral));
    }
}

#[test]
fn what_was_said_before_a_template_widened_is_left_out_once_the_widest_is_neutral() {
    let mut world = World::with_traffic(usual());
    world.blocks_say(2, &["moved away"]);
    let former = world.id("moved away");
    let held = |grave| SessionEvent { position: event(former, grave).position, template: former, token: UNKNOWN, grave };
    let (wider, widest) = (TemplateId(900), TemplateId(901));
    world.domain.handle_template(wider, &[former], "moved <*>");
    world.domain.handle_template(widest, &[wider], "<*> <*>");
    assert!(!world.domain.leaves_out(&held(false)), "nothing is decided yet");
    for block in 0..20 {
        let episode = world.domain.begin_episode();
        let of = BlockId { pool: PoolId(0), number: 5000 + block };
        let seen = Seen { episode, is_news: true, counts: true };
        world.domain.handle_event(&Event { block: of, ..event(widest, false) }, seen, 0);
    }
    assert_eq!(world.stats().neutral_templates, 1);
    assert!(world.domain.leaves_out(&held(false)) && !world.domain.leaves_out(&held(true)));
}

#[test]
fn what_is_muted_is_nobodys_concern_whatever_its_level() {
    let mute = vec!["disk <*> failed".to_owned()];
    let mut world = World::with_traffic(Settings { mute, ..usual() });
    world.domain.handle_template(TemplateId(900), &[], "disk <*> failed");
    world.domain.handle_template(TemplateId(901), &[], "disk <*> failed again");
    for (id, muted) in [(900, true), (901, false)] {
        assert_eq!(world.domain.is_muted(&event(TemplateId(id), true)), muted);
    }
    let kept = world.domain.kept().clone();
    let unmuted = Domain::restore(usual(), &profile(&["known"]), kept);
    assert!(!unmuted.is_muted(&event(TemplateId(900), true)), "the operator has changed their mind");
}

#[test]
fn another_model_knows_what_it_knows_and_inherits_the_rest() {
    let mut world = World::with_traffic(usual());
    world.blocks_say(60, &["moved", "copied"]);
    assert_eq!(world.stats().neutral_templates, 2);
    world.domain.change_model(&profile(&["moved"]), 0, false);
    world.ids.clear();
    assert_eq!(world.stats().unknown_share, 0.0, "the traffic is measured anew");
    let told = world.alerts.len();
    assert!(!world.block_says(&["moved"]), "it was forgotten");
    assert!(world.block_says(&["copied"]), "it stays neutral");
    assert_eq!(world.alerts.len(), told, "and is not told again");
}

#[test]
fn another_model_that_takes_over_goes_on_with_the_templates_that_were_found() {
    let mut world = World::with_traffic(usual());
    world.blocks_say(60, &["copied"]);
    world.blocks_say(10, &["known", "new"]);
    world.domain.change_model(&profile(&["known"]), 0, true);
    assert!(world.block_says(&["copied"]), "it stays neutral under its id");
    let told = world.alerts.len();
    world.blocks_say(60, &["known", "known", "new"]);
    assert_eq!(world.alerts.len(), told + 1, "the other becomes so without being introduced again");
}

#[test]
fn another_model_ends_what_was_wrong_with_the_one_before() {
    let mut world = World::new(usual());
    world.blocks_say(50, &["a", "b", "c"]);
    assert!(world.domain.is_mismatched());
    let next = Profile { name: "next".to_owned(), ..profile(&["a", "b", "c"]) };
    world.domain.change_model(&next, 0, false);
    world.settle();
    assert!(!world.domain.is_mismatched());
    let [begin, end] = world.alerts.make_contiguous() else { panic!("it begins and ends") };
    assert_eq!((end.alert_type, end.reason), (AlertType::MismatchResolved, Reason::ModelChanged));
    assert_eq!((&end.signature, end.incident), (&begin.signature, begin.incident));
    let (Finding::Domain(begin), Finding::Domain(end)) = (&begin.finding, &end.finding) else { panic!("they are of the model") };
    assert_eq!((&end.model, end.share_max), (&begin.model, begin.share_max), "it is of the model before");
    assert!(end.share > end.share_max, "what was measured last");
}

#[test]
fn a_decision_waits_for_the_cases_before_it() {
    let mut world = World::with_traffic(usual());
    world.ahead = 3;
    world.blocks_say(25, &["moved"]);
    for waiting in [3, 2, 1] {
        assert_eq!(world.told(), "", "{waiting} cases are to be decided before");
        world.domain.note_judged();
        world.settle();
    }
    assert_eq!(world.told().matches("template.new").count(), 1);
}

#[test]
fn it_goes_on_from_a_checkpoint_as_if_nothing_had_happened() {
    let stories = |world: &mut World, range: std::ops::Range<i64>| {
        for number in range {
            world.block_says(if number % 3 == 0 { &["moved", "a"] } else { &["known", "known"] });
            world.judge(number % 40 > 0);
        }
    };
    let mut undisturbed = World::new(usual());
    stories(&mut undisturbed, 0..1500);
    for cut in [1, 55, 61, 199, 700] {
        let mut world = World::new(usual());
        stories(&mut world, 0..cut);
        let bytes = postcard::to_stdvec(world.domain.kept()).expect("it can be written");
        let kept = postcard::from_bytes(&bytes).expect("and read again");
        world.domain = Domain::restore(usual(), &profile(&["known"]), kept);
        stories(&mut world, cut..1500);
        assert_eq!(world.alerts, undisturbed.alerts, "cut at {cut}");
    }
    assert!(undisturbed.alerts.len() >= 3, "{}", undisturbed.told());
}

/// Settings under which nothing is left out.
pub(crate) fn off() -> Settings {
    Settings { enabled: false, ..usual() }
}

/// The settings of `config/default.toml`.
pub(crate) fn usual() -> Settings {
    Settings {
        enabled: true,
        template_share: 0.01,
        template_blocks: 20,
        unknown_share_max: 0.5,
        far_share_max: 0.9,
        mute: Vec::new(),
    }
}

/// A domain with the rest of the pipeline left away: sentences come in, each a template of its own, and verdicts.
struct World {
    domain: Domain,
    trigger: Trigger,
    alerts: VecDeque<Alert>,
    ids: Vec<String>,
    time: i64,
    blocks: i64,
    /// Cases that wait for their verdict.
    ahead: usize,
}

impl World {
    fn new(settings: Settings) -> Self {
        let domain = Domain::new(settings, &profile(&["known"]));
        let (trigger, alerts) = (Trigger::default(), VecDeque::new());
        Self { domain, trigger, alerts, ids: Vec::new(), time: 0, blocks: 0, ahead: 0 }
    }

    /// One that has seen so many usual stories that anything can be decided; its time begins anew.
    fn with_traffic(settings: Settings) -> Self {
        let mut world = Self::new(settings);
        world.blocks_say(900, &["known", "known"]);
        world.time = 0;
        world
    }

    /// A new block says these; what ends with `!` in a warning. Whether the last was left out.
    fn block_says(&mut self, said: &[&str]) -> bool {
        self.blocks += 1;
        self.episode_says(self.blocks, said)
    }

    fn blocks_say(&mut self, blocks: usize, said: &[&str]) {
        for _ in 0..blocks {
            self.block_says(said);
        }
    }

    fn episode_says(&mut self, block: i64, said: &[&str]) -> bool {
        let episode = self.domain.begin_episode();
        let mut left_out = false;
        for sentence in said {
            let text = sentence.trim_end_matches('!');
            let (token, template) = if text == "known" { (Token(6), TemplateId(0)) } else { (UNKNOWN, self.id(text)) };
            let of = BlockId { pool: PoolId(0), number: block };
            let event = Event { block: of, token, time: LogTime(self.time), ..event(template, sentence.ends_with('!')) };
            left_out = self.domain.handle_event(&event, Seen { episode, is_news: true, counts: true }, self.ahead);
            self.time += 1;
            self.settle();
        }
        left_out
    }

    fn judge(&mut self, is_far: bool) {
        self.domain.handle_verdict(&case(self.time), is_far, &mut self.alerts);
        self.domain.note_judged();
        self.time += 1;
        self.settle();
    }

    fn settle(&mut self) {
        self.domain.settle(&mut self.trigger, &mut self.alerts);
    }

    fn id(&mut self, text: &str) -> TemplateId {
        let known = self.ids.iter().position(|known| known == text);
        let index = known.unwrap_or_else(|| {
            self.ids.push(text.to_owned());
            self.domain.handle_template(TemplateId(self.ids.len() as u32), &[], text);
            self.ids.len() - 1
        });
        TemplateId(index as u32 + 1)
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.domain.count_into(&mut stats);
        stats
    }

    /// `type reason-or-template@time` of every alert.
    fn told(&self) -> String {
        let told = self.alerts.iter().map(|alert| {
            let what = match &alert.finding {
                Finding::Template(found) => found.template.clone(),
                Finding::Domain(found) => {
                    let texts: Vec<&str> = found.templates.iter().map(|template| template.template.as_str()).collect();
                    format!("{} {}", alert.reason.name(), texts.join(","))
                }
                Finding::Block(_) | Finding::Host(_) | Finding::Regime(_) | Finding::State(_) => {
                    panic!("the domain tells of none of them")
                }
            };
            format!("{} {what}@{}", alert.alert_type.name(), alert.time.0)
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

fn event(template: TemplateId, grave: bool) -> Event {
    let position = Position { source: SourceId(0), offset: 0, length: 0 };
    Event { block: BlockId { pool: PoolId(0), number: 1 }, template, token: UNKNOWN, time: LogTime(0), position, grave }
}

fn case(time: i64) -> Case {
    Case { time: LogTime(time), ..crate::pipeline::session::tests::case(&[]) }
}

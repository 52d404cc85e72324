//! What a call says in the log: one span per call and per leg, at most ten lines at INFO, no phone number above DEBUG.
#![expect(
    clippy::disallowed_types,
    reason = "tracing wants a collector that threads could share"
)]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::{Behaviour, PhoneId, Site, World};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::scene::{
    SECOND, answer, call_centre, conversation, dial, hang_up, served, without_start_sound,
};

/// One line of the log.
struct Line {
    level: tracing::Level,
    /// Spans from the outside in, with their fields; then the message and its fields.
    text: String,
}

/// Everything that is logged, and the spans that were opened.
#[derive(Clone, Default)]
struct Journal {
    lines: Arc<Mutex<Vec<Line>>>,
    spans: Arc<Mutex<Vec<String>>>,
}

/// The fields of a span, kept with it.
struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        self.spans
            .lock()
            .expect("one thread")
            .push(fields.0.clone());
        let span = context.span(id).expect("it has just begun");
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let of = extensions.get::<Fields>().expect("each span has some");
            fields.0 = format!("{}:{}", of.0, fields.0);
        }
        event.record(&mut fields);
        self.lines.lock().expect("one thread").push(Line {
            level: *event.metadata().level(),
            text: fields.0,
        });
    }
}

/// What the log says while this happens.
fn journal(act: impl FnOnce()) -> Journal {
    let journal = Journal::default();
    let subscriber = tracing_subscriber::registry().with(journal.clone());
    tracing::subscriber::with_default(subscriber, act);
    journal
}

impl Journal {
    fn lines(&self, wanted: impl Fn(&Line) -> bool) -> Vec<String> {
        let lines = self.lines.lock().expect("one thread");
        let wanted = lines.iter().filter(|line| wanted(line));
        wanted.map(|line| line.text.clone()).collect()
    }

    /// Both rules, for each call of this journal.
    fn assert_quiet(&self) {
        let info = self.lines(|line| line.level <= tracing::Level::INFO);
        let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
        for line in &info {
            for word in line.split(|c: char| !c.is_alphanumeric()) {
                let number = word.len() == 3 && word.chars().all(|c| c.is_ascii_digit());
                assert!(!number, "a phone number: {line}");
            }
            assert!(!line.contains('*'), "a feature code: {line}");
            let call = line.split(':').next().expect("a line has a beginning");
            assert!(call.starts_with("call id="), "outside its call: {line}");
            *calls.entry(call).or_default() += 1;
        }
        assert!(!calls.is_empty());
        assert!(calls.values().all(|lines| *lines <= 10), "{info:#?}");
    }
}

#[test]
fn a_queue_call_tells_its_life_in_four_lines_without_a_number() {
    let journal = journal(|| {
        let (mut world, customer, _) = served();
        hang_up(&mut world, customer);
        world.run(SECOND);
    });
    journal.assert_quiet();
    let info = journal.lines(|line| line.level == tracing::Level::INFO);
    let told: Vec<&str> = info
        .iter()
        .map(|line| line.split_once(": ").map_or("", |(_, rest)| rest))
        .collect();
    assert_eq!(
        told,
        [
            "message=begins leg=1",
            "message=waits queue=\"support\"",
            "message=talks queue=\"support\" agent=\"(number)\"",
            "message=ends cause=HangUp by=Caller",
        ]
    );
    let numbers = journal.lines(|line| line.level == tracing::Level::DEBUG);
    assert!(
        numbers
            .iter()
            .any(|line| line.contains("caller=\"209\"") && line.contains("dialled=\"700\"")),
        "at DEBUG they are there"
    );
    let spans = journal.spans.lock().expect("one thread");
    let names: Vec<&str> = spans.iter().map(|span| &span[..4]).collect();
    assert_eq!(names, ["call", "leg ", "leg "], "one per call and leg");
}

#[test]
fn what_a_leg_does_stands_in_the_span_of_the_leg() {
    let journal = journal(|| {
        let (mut world, alice, _) = conversation();
        hang_up(&mut world, alice);
        world.run(SECOND);
    });
    journal.assert_quiet();
    let talks = journal.lines(|line| line.text.contains("talks"));
    assert!(talks[0].contains(":leg n=2 role=\"callee\":"), "{talks:?}");
    let ends = journal.lines(|line| line.text.contains("ends"));
    assert!(ends[0].contains(":leg n=1 role=\"caller\":"), "{ends:?}");
}

#[test]
fn no_call_is_too_wild_for_ten_lines() {
    type Wild = fn(&mut World, PhoneId, &[PhoneId]);
    let calls: [Wild; 4] = [
        // Agents who vanish, one after the other.
        |world, customer, agents| {
            dial(world, customer, "700");
            for turn in 0..20 {
                world.run(SECOND);
                if let Some(agent) = agents.iter().find(|a| crate::scene::rings(world, **a)) {
                    answer(world, *agent);
                    world.run(Duration::from_millis(50 + turn));
                    hang_up(world, *agent);
                }
            }
        },
        // Agents who do not answer.
        |world, customer, _| {
            dial(world, customer, "700");
            world.run(600 * SECOND);
        },
        // Feature codes.
        |world, _, agents| {
            for code in ["*46", "*45"] {
                dial(world, agents[0], code);
                world.run(3 * SECOND);
            }
        },
        // A phone that nobody has.
        |world, customer, _| dial(world, customer, "999"),
    ];
    for wild in calls {
        let journal = journal(|| {
            let mut site = without_start_sound();
            site.each_agent(|agent| agent.no_answer_delay_time = Duration::ZERO);
            let (mut world, customer, agents) = call_centre(site, 3);
            wild(&mut world, customer, &agents);
            world.run(SECOND);
            hang_up(&mut world, customer);
            world.run(SECOND);
        });
        journal.assert_quiet();
    }
}

#[test]
fn a_call_that_wanders_from_queue_to_queue_has_its_last_line_too() {
    let journal = journal(|| {
        let mut site = without_start_sound();
        site.queue().max_wait_time = Some(SECOND);
        site.service().timeout_transfer_dst = Some("700".to_owned());
        let (mut world, customer, _) = call_centre(site, 0);
        dial(&mut world, customer, "700");
        world.run(60 * SECOND);
    });
    journal.assert_quiet();
    let info = journal.lines(|line| line.level == tracing::Level::INFO);
    assert_eq!(info.len(), 10);
    assert!(info[9].contains("ends cause=Loop"));
}

#[test]
fn a_switch_that_is_full_says_so_once() {
    let journal = journal(|| {
        let mut world = World::with_ports(Site::sample(), 1);
        let (alice, bob) = (world.registered("205"), world.registered("206"));
        world[bob].behaviour = Behaviour::Ring;
        dial(&mut world, alice, "600");
        world.run(SECOND);
        for _ in 0..10 {
            dial(&mut world, bob, "600");
            world.run(SECOND);
        }
    });
    let warnings = journal.lines(|line| line.level == tracing::Level::WARN);
    assert_eq!(
        warnings,
        [" message=full: new calls get 503 calls=1 unwritten=0 ports=1"]
    );
}

//! A day of the call centre: 8 hours, 200 agents, 5,000 calls, in seconds; the invariants hold after every step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use call::CallRecord;
use call::record::Outcome;
use queue::{OfferId, State, Status, Strategy};
use testkit::{Behaviour, Chance, PhoneId, PhoneState, Site, World};

use crate::records::assert_plausible;
use crate::scene::SECOND;

const AGENTS: u32 = 200;
const CUSTOMERS: u32 = 150;
const CALLS: usize = 5_000;
const DAY: Duration = Duration::from_secs(8 * 3_600);
/// As in the sample site.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Phones register this often.
const REFRESH: Duration = Duration::from_secs(1_800);
/// Somebody takes a break, or comes back, this often.
const SHIFT: Duration = Duration::from_secs(60);

/// `queue-cases.md` section E as far as it can be seen from outside, held after every step of the world.
#[derive(Default)]
struct Invariants {
    offers: BTreeMap<OfferId, Instant>,
    /// By the agents' places in the engine.
    wrapping_up: BTreeMap<usize, Instant>,
    steps: u64,
}

impl Invariants {
    fn hold(&mut self, world: &World) {
        let queues = world.exchange.queues();
        let mut talking = Vec::new();
        let mut offers = Vec::new();
        for (place, (agent, status, state)) in queues.agents().enumerate() {
            match state {
                State::Talking(ticket) => talking.push(ticket),
                State::Offered(offer) => {
                    offers.push(offer);
                    assert_eq!(status, Some(&Status::Available), "{agent:?}");
                    let rested = self.wrapping_up.remove(&place);
                    assert!(rested.is_none_or(|until| until <= world.now()), "{agent:?}");
                }
                State::WrapUp { until } => {
                    self.wrapping_up.insert(place, until);
                }
                State::Idle | State::Parked => {}
            }
        }
        talking.sort_unstable();
        assert!(talking.is_sorted_by(|a, b| a < b), "two share a caller");
        offers.sort_unstable();
        self.offers
            .retain(|offer, _| offers.binary_search(offer).is_ok());
        for offer in offers {
            let began = *self.offers.entry(offer).or_insert(world.now());
            assert!(world.now() <= began + CALL_TIMEOUT + SECOND, "{offer:?}");
        }
        // Whoever is in the queue engine has a call, and the call knows where it is.
        let load = world.exchange.load();
        assert_eq!(load.callers, load.tickets);
        assert_eq!(load.offers, self.offers.len());
        assert!(load.callers <= load.calls);
        assert!(load.streams <= load.legs + load.calls * 2);
        self.steps += 1;
    }
}

/// The phones of the day, and what their users do next.
struct Day {
    world: World,
    chance: Chance,
    agents: Vec<PhoneId>,
    customers: Vec<PhoneId>,
    hang_ups: BTreeMap<(Instant, PhoneId), ()>,
    refresh: Instant,
    shift: Instant,
    queue_calls: usize,
    breaks: usize,
}

impl Day {
    fn begin(invariants: &Rc<RefCell<Invariants>>) -> Self {
        let mut site = Site::with_agents(AGENTS + CUSTOMERS, AGENTS);
        site.queue().strategy = Strategy::LongestIdleAgent;
        site.each_agent(|agent| agent.wrap_up_time = Some(15 * SECOND));
        let mut world = World::silent(site);
        let mut chance = Chance::new(20_261_120);
        let mut phones = (201..201 + AGENTS + CUSTOMERS).map(|n| world.registered(&n.to_string()));
        let agents: Vec<PhoneId> = phones.by_ref().take(AGENTS as usize).collect();
        let customers = phones.collect();
        for agent in &agents {
            world[*agent].behaviour = match chance.below(10) {
                0 => Behaviour::Refuse(486),
                1 => Behaviour::RefuseAfter(chance.millis(500, 5_000), 603),
                2 => Behaviour::Ring,
                _ => Behaviour::AnswerAfter(chance.millis(500, 8_000)),
            };
        }
        let watch = Rc::clone(invariants);
        world.watch(move |world| watch.borrow_mut().hold(world));
        let now = world.now();
        Self {
            world,
            chance,
            agents,
            customers,
            hang_ups: BTreeMap::new(),
            refresh: now + REFRESH,
            shift: now + SHIFT,
            queue_calls: 0,
            breaks: 0,
        }
    }

    /// Time passes until the next customer may call.
    fn go_on(&mut self) {
        let mean = DAY.as_millis() as u64 / CALLS as u64;
        self.world.run(self.chance.millis(1_000, 2 * mean - 1_000));
        let now = self.world.now();
        if now >= self.refresh {
            self.refresh = now + REFRESH;
            for phone in self.agents.iter().chain(&self.customers) {
                self.world
                    .act(*phone, |phone, now| phone.register(3_600, now));
            }
        }
        while let Some(entry) = self.hang_ups.first_entry()
            && entry.key().0 < now
        {
            let ((_, phone), ()) = entry.remove_entry();
            self.world.act(phone, |phone, now| phone.hang_up(now));
        }
        if now >= self.shift {
            self.shift = now + SHIFT;
            self.change_shift();
        }
        self.call();
    }

    /// A customer who is free calls the queue, and has patience for a while.
    fn call(&mut self) {
        let waits = |phone: &PhoneId| self.hang_ups.keys().any(|(_, other)| other == phone);
        let idle = |phone: &&PhoneId| self.world[**phone].state() == PhoneState::Idle;
        let free = self
            .customers
            .iter()
            .find(|phone| idle(phone) && !waits(phone));
        if let Some(customer) = free.copied() {
            let patience = self.chance.millis(5_000, 400_000);
            self.hang_ups
                .insert((self.world.now() + patience, customer), ());
            self.world
                .act(customer, |phone, now| phone.dial("700", now));
            self.queue_calls += 1;
        }
    }

    /// An idle agent logs out on the phone; one who is logged out comes back.
    fn change_shift(&mut self) {
        let place = self.chance.below(u64::from(AGENTS)) as usize;
        let phone = self.agents[place];
        if self.world[phone].state() != PhoneState::Idle {
            return;
        }
        let agents = self.world.exchange.queues().agents();
        let logged_out = agents
            .filter(|(agent, ..)| *agent.0 == *self.world[phone].account)
            .any(|(_, status, _)| status == Some(&Status::LoggedOut));
        let code = if logged_out { "*45" } else { "*46" };
        self.world.act(phone, |phone, now| phone.dial(code, now));
        self.breaks += 1;
    }

    fn end(&mut self) {
        // Who dialled last is through the challenge by then.
        self.world.run(SECOND);
        for phone in &self.customers {
            self.world.act(*phone, |phone, now| phone.hang_up(now));
        }
        self.world.run(120 * SECOND);
    }
}

#[test]
fn a_day_of_5_000_calls_leaves_nothing_behind() {
    let invariants = Rc::default();
    let mut day = Day::begin(&invariants);
    let end = day.world.elapsed() + DAY;
    while day.world.elapsed() < end {
        day.go_on();
    }
    day.end();
    day.world.assert_at_rest();
    assert!(invariants.borrow().steps > 100_000);
    for agent in &day.agents {
        assert_eq!(day.world[*agent].refused_for_busy, 0, "one call at a time");
    }
    let records = &day.world.records;
    assert_eq!(records.len(), day.queue_calls + day.breaks, "one each");
    assert!(
        day.queue_calls > CALLS * 9 / 10,
        "{} calls",
        day.queue_calls
    );
    assert!(day.breaks > 100, "{} breaks", day.breaks);
    records.iter().for_each(assert_plausible);
    service_is_fair(records, day.queue_calls);
}

/// What the records of the day say together.
fn service_is_fair(records: &[CallRecord], queue_calls: usize) {
    let mut outcomes = BTreeMap::new();
    let mut first_offers = Vec::new();
    for record in records.iter().filter(|record| record.dialled == "700") {
        let outcome = record.queues.last().map(|visit| visit.outcome);
        *outcomes.entry(format!("{outcome:?}")).or_insert(0) += 1;
        let agents: Vec<_> = record.legs.iter().filter(|l| l.role == "agent").collect();
        let answered = agents.iter().filter(|leg| leg.answer.is_some()).count();
        let served = outcome == Some(Outcome::Answered);
        assert_eq!(answered, usize::from(served), "{record:?}");
        if let (Some(visit), Some(first)) = (record.queues.first(), agents.first()) {
            first_offers.push((visit.joined.clone(), first.start.clone()));
        }
    }
    // First come, first served: nobody was offered for the first time before one who had joined earlier.
    first_offers.sort();
    assert!(first_offers.is_sorted_by_key(|(_, offered)| offered));
    let count = |outcome| outcomes.get(outcome).copied().unwrap_or(0);
    let (answered, abandoned) = (count("Some(Answered)"), count("Some(Abandoned)"));
    let greeted = count("None");
    assert_eq!(answered + abandoned + greeted, queue_calls, "{outcomes:?}");
    assert!(answered > queue_calls / 2, "{outcomes:?}");
}

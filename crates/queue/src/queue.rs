//! A queue while it works: who waits, who is free, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::agent::{Agent, AgentKey, Part};
use crate::caller::{Limit, Place, Scope, Waiting};
use crate::customers::KeptPlaces;
use crate::order::Seat;
use crate::pace::Pace;
use crate::pool::Pool;
use crate::skills::{AskKey, Asks};
use crate::timer::after;
use crate::{AgentId, NoAgentLimit, QueueId, QueueSettings, Status, Strategy, TierRules};

/// A queue's index inside the engine, until the next `configure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueKey(pub(crate) usize);

/// Who sits on a seat.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) agent: AgentKey,
    pub(crate) level: u32,
    pub(crate) position: u32,
    pub(crate) name: AgentId,
}

/// What a queue keeps over a reload.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Round-robin: who was offered a call last on each level, by position and name.
    pub(crate) turns: BTreeMap<u32, (u32, AgentId)>,
    /// The places of callers who hung up.
    pub(crate) kept: KeptPlaces,
    pub(crate) pace: Pace,
    /// Since when nobody serves; means nothing while somebody does.
    pub(crate) unstaffed_since: Instant,
}

impl Memory {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            turns: BTreeMap::new(),
            kept: KeptPlaces::default(),
            pace: Pace::default(),
            unstaffed_since: now,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) strategy: Strategy,
    pub(crate) ring_progressively_delay: Duration,
    pub(crate) tier_rules: Option<TierRules>,
    pub(crate) max_wait_time: Option<Duration>,
    pub(crate) no_agent_limit: Option<NoAgentLimit>,
    pub(crate) abandoned_resume: Option<Duration>,
    pub(crate) wrap_up_time: Duration,
    pub(crate) agent_no_answer_status: Status,
    pub(crate) capacity: usize,
    /// By `Seat::index`.
    pub(crate) members: Vec<Member>,
    /// The seats of each level.
    pub(crate) levels: BTreeMap<u32, Range<usize>>,
    /// The seat of each agent.
    seats: BTreeMap<AgentKey, usize>,
    /// Everybody who waits, in the order in which they are served.
    pub(crate) callers: BTreeSet<Place>,
    /// Those of `callers` for whom (more) phones may ring, by whom they may reach.
    pub(crate) seekers: BTreeMap<Scope, BTreeSet<Place>>,
    /// Who can do what callers asked here since the last `configure`.
    pools: BTreeMap<AskKey, Pool>,
    /// How many agents take calls, now or when they are free.
    pub(crate) staff: usize,
    pub(crate) memory: Memory,
}

impl Queue {
    /// Without callers; what the agents do is told afterwards.
    pub(crate) fn new(settings: QueueSettings, members: Vec<Member>, memory: Memory) -> Self {
        let mut levels: BTreeMap<u32, Range<usize>> = BTreeMap::new();
        let mut seats = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            let level = levels.entry(member.level).or_insert(index..index);
            level.end = index + 1;
            seats.insert(member.agent, index);
        }
        Self {
            id: settings.id,
            strategy: settings.strategy,
            ring_progressively_delay: settings.ring_progressively_delay,
            tier_rules: settings.tier_rules,
            max_wait_time: settings.max_wait_time.filter(|limit| !limit.is_zero()),
            no_agent_limit: settings.max_wait_time_with_no_agent,
            abandoned_resume: settings.abandoned_resume.filter(|time| !time.is_zero()),
            wrap_up_time: settings.wrap_up_time,
            agent_no_answer_status: settings.agent_no_answer_status,
            capacity: settings.capacity,
            members,
            levels,
            seats,
            callers: BTreeSet::new(),
            seekers: BTreeMap::new(),
            pools: BTreeMap::new(),
            staff: 0,
            memory,
        }
    }

    /// Where the agent sits.
    pub(crate) fn seat_of(&self, agent: AgentKey) -> Option<usize> {
        self.seats.get(&agent).copied()
    }

    /// Who can do what is asked, if anybody asked that here.
    pub(crate) fn pool(&self, ask: AskKey) -> Option<&Pool> {
        self.pools.get(&ask)
    }

    /// From now it is known who can do what is asked.
    pub(crate) fn muster(&mut self, ask: AskKey, asks: &Asks, agents: &BTreeMap<AgentKey, Agent>) {
        if self.pools.contains_key(&ask) {
            return;
        }
        let agents = || self.members.iter().map(|member| &agents[&member.agent]);
        let admits = agents().map(|agent| asks.admits(ask, &agent.settings.skills));
        let mut pool = Pool::new(self.strategy, admits.collect());
        for (index, (member, agent)) in std::iter::zip(&self.members, agents()).enumerate() {
            let level = member.level;
            pool.enter(Seat { level, index }, agent.part());
        }
        self.pools.insert(ask, pool);
    }

    /// The agent of a seat takes a part from now.
    pub(crate) fn enter(&mut self, seat: Seat, part: Part) {
        for pool in self.pools.values_mut() {
            pool.enter(seat, part);
        }
        self.staff += usize::from(part.is_staff);
    }

    /// It takes this part no more.
    pub(crate) fn exit(&mut self, seat: Seat, part: Part, now: Instant) {
        for pool in self.pools.values_mut() {
            pool.exit(seat, part);
        }
        self.staff -= usize::from(part.is_staff);
        if part.is_staff && self.staff == 0 {
            self.memory.unstaffed_since = now;
        }
    }

    /// The first limit of a caller who came in at this moment.
    pub(crate) fn deadline(&self, entered: Instant) -> Option<(Instant, Limit)> {
        let longest = self
            .max_wait_time
            .map(|limit| (after(entered, limit), Limit::MaxWait));
        let unstaffed = self.no_agent_limit.filter(|_| self.staff == 0);
        let no_agent = unstaffed.map(|limit| {
            let queue = after(self.memory.unstaffed_since, limit.max_wait_time);
            (queue.max(after(entered, limit.grace)), Limit::NoAgent)
        });
        longest.into_iter().chain(no_agent).min()
    }

    /// Whether (more) phones may ring for a caller: for one of ring-all always, of ring-progressively one more at a time, for others one.
    fn scope(&self, waiting: &Waiting, now: Instant) -> Option<Scope> {
        let lowest = waiting
            .ringing
            .first_key_value()
            .map(|(seat, _)| seat.level);
        let (seeks, rings) = match self.strategy {
            // With tier rules a level that opens is rung beside the lower ones.
            Strategy::RingAll => (true, lowest.filter(|_| self.tier_rules.is_none())),
            Strategy::RingProgressively => {
                let widens = waiting.widens.is_none_or(|widens| widens <= now);
                (lowest.is_none() || widens, None)
            }
            Strategy::LongestIdleAgent
            | Strategy::RoundRobin
            | Strategy::TopDown
            | Strategy::AgentWithLeastTalkTime
            | Strategy::AgentWithFewestCalls
            | Strategy::SequentiallyByAgentOrder
            | Strategy::Random => (lowest.is_none(), None),
        };
        let Waiting { ask, level, .. } = *waiting;
        seeks.then_some(Scope { ask, level, rings })
    }

    /// Puts a waiting caller where it belongs.
    pub(crate) fn place(&mut self, place: Place, waiting: &mut Waiting, now: Instant) {
        self.callers.insert(place);
        let scope = self.scope(waiting, now);
        if scope != waiting.seeks {
            self.end_search(place, waiting);
            if let Some(scope) = scope {
                self.seekers.entry(scope).or_default().insert(place);
            }
            waiting.seeks = scope;
        }
    }

    /// The caller no longer waits.
    pub(crate) fn remove(&mut self, place: Place, waiting: &mut Waiting) {
        self.callers.remove(&place);
        self.end_search(place, waiting);
    }

    fn end_search(&mut self, place: Place, waiting: &mut Waiting) {
        if let Some(scope) = waiting.seeks.take()
            && let Some(seekers) = self.seekers.get_mut(&scope)
        {
            seekers.remove(&place);
            if seekers.is_empty() {
                self.seekers.remove(&scope);
            }
        }
    }
}

//! The agents who failed a caller, and how long each is held back from it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::agent::AgentKey;
use crate::held::Held;
use crate::timer::after;

/// How long a caller is not offered again to an agent who failed it once, whatever the delays: a phone that refuses at once rings
/// once a second at most. Doubles with each further failure of the pair.
const FIRST_FLOOR: Duration = Duration::from_secs(1);

/// Where the doubling ends: the delays that a new installation has, so that the floor shows only where an administrator chose less.
const LONGEST_FLOOR: Duration = Duration::from_secs(10);

/// At most the agents that ever served the caller's queue while it waited.
#[derive(Debug, Default)]
pub(crate) struct Tries(BTreeMap<AgentKey, Try>);

#[derive(Clone, Copy, Debug)]
struct Try {
    failures: u32,
    /// Not before.
    again: Instant,
}

impl Tries {
    /// How often the agent failed this caller, or the floor that holds it.
    pub(crate) fn failures(&self, agent: AgentKey, now: Instant) -> Result<u32, Held> {
        match self.0.get(&agent) {
            None => Ok(0),
            Some(past) if past.again <= now => Ok(past.failures),
            Some(past) => Err(Held::Failed {
                times: past.failures,
                until: past.again,
            }),
        }
    }

    /// The agent failed this caller. Returns when it may be tried again, and the moment that held until now.
    pub(crate) fn fail(&mut self, agent: AgentKey, now: Instant) -> (Instant, Option<Instant>) {
        let past = self.0.get(&agent).copied();
        let failures = past.map_or(1, |past| past.failures.saturating_add(1));
        let doubled = 2_u32.saturating_pow(failures - 1);
        let again = after(now, FIRST_FLOOR.saturating_mul(doubled).min(LONGEST_FLOOR));
        self.0.insert(agent, Try { failures, again });
        (again, past.map(|past| past.again))
    }

    /// The agent is gone for good. Returns the moment that held.
    pub(crate) fn forget(&mut self, agent: AgentKey) -> Option<Instant> {
        self.0.remove(&agent).map(|past| past.again)
    }

    /// Each agent with the moment from when it may be tried again.
    pub(crate) fn floors(&self) -> impl Iterator<Item = (AgentKey, Instant)> {
        self.0.iter().map(|(&agent, past)| (agent, past.again))
    }
}

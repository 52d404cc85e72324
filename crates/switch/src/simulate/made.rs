//! A day by chance, where there is none to take.

use std::time::Duration;

use queue::{Arrival, CustomerId, Departure, Plan, QueueId};

use super::day::{Call, Chance, Day, Shift};

/// The day begins; most callers come in the middle of it.
const OPENS: Duration = Duration::from_secs(9 * 3_600);
/// How long they come.
const OPEN: Duration = Duration::from_secs(8 * 3_600);
/// Agents stay for those who came last.
const CLOSES: Duration = Duration::from_secs(18 * 3_600);
/// How long a phone rings until it is answered, on average.
const PICKUP: Duration = Duration::from_secs(4);
/// How often a customer calls, on average.
const CALLS_OF_A_CUSTOMER: u64 = 3;
/// How many different times of ringing are drawn.
const PICKUPS: usize = 1_000;

/// What the day is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// How many callers come.
    pub(crate) calls: u64,
    /// How long they talk, on average.
    pub(crate) talk: Duration,
    /// How long they wait before they hang up, on average.
    pub(crate) patience: Duration,
}

impl Made {
    /// Draws the day: a queue has callers as it has agents, and all agents work.
    pub(super) fn draw(&self, plan: &Plan, chance: &mut Chance) -> Day {
        let seats = plan.queues.iter().flat_map(|queue| {
            let members = queue.members.iter();
            members.map(|_| &queue.id)
        });
        let seats: Vec<&QueueId> = seats.collect();
        let shift = Shift {
            from: Duration::ZERO,
            to: CLOSES,
        };
        let shifts = plan.agents.iter().map(|agent| (agent.id.clone(), shift));
        let mut day = Day {
            shifts: shifts.collect(),
            pickups: (0..PICKUPS).map(|_| chance.around(PICKUP)).collect(),
            ..Day::default()
        };
        for _ in 0..self.calls {
            let Some(queue) = chance.one(&seats) else {
                break;
            };
            let customer = chance.next() % (self.calls / CALLS_OF_A_CUSTOMER + 1);
            day.calls.push(Call {
                at: OPENS + OPEN.mul_f64((chance.share() + chance.share()) / 2.0),
                queue: queue.clone(),
                arrival: Arrival {
                    customer: Some(CustomerId(customer.to_string().into())),
                    ..Arrival::default()
                },
                patience: Some((chance.around(self.patience), Departure::HungUp)),
                talk: chance.around(self.talk),
            });
        }
        day
    }
}

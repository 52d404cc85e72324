//! Who waits, who is free, who is picked and why. Knows neither SIP nor RTP.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments. [`Engine`] is driven by events:
//! nothing polls, and an event looks only at the callers and agents that it touches. After every `handle_*` or command the driver drains
//! [`Engine::poll_output`]; at [`Engine::poll_timeout`] it calls [`Engine::handle_timeout`].
//!
//! # Who rings for whom
//! Callers choose in one order over all queues: by priority, then by score. A score is the time waited and the head start that the caller
//! came with (a bonus of its number, its wait in a queue before). All scores grow by one a second, so two callers never change places.
//! Inside a queue of equals that is first come, first served, and an agent of several queues serves the highest score of all of them.
//!
//! The caller at hand is offered to free agents of the lowest level on which somebody can be rung for it; whoever is busy, resting, or
//! under the floor below counts as not there, so the next level has its turn. On that level, ascending:
//!
//! | [`Strategy`] | rings | order |
//! | --- | --- | --- |
//! | `RingAll` | all of the level | position, name |
//! | `LongestIdleAgent` | one | failures for this caller, end of the last conversation (without one: log-in), position, name |
//! | `RoundRobin` | one | failures for this caller, then behind the one whom this queue offered a call last on this level: position, name |
//! | `TopDown` | one | failures for this caller, position, name: each agent once from the top, then all of them again |
//! | `AgentWithLeastTalkTime` | one | failures for this caller, time of all conversations, position, name |
//! | `AgentWithFewestCalls` | one | failures for this caller, number of all conversations, position, name |
//! | `SequentiallyByAgentOrder` | one | position, name: always from the first |
//! | `Random` | one | failures for this caller, then from a free agent drawn by lot: position, name |
//! | `RingProgressively` | one, and one more after each `ring_progressively_delay` | failures for this caller, who served the customer last, position, name |
//!
//! Conversations are counted and timed for each agent in all its queues together, since it is known; neither a break nor a reload
//! begins anew. The lot of each offer follows from the seed of the engine and the number of the offer.
//!
//! With `RingAll` agents are added as they become free while it rings: those of the lowest level that rings, or of a lower one. What rings
//! on a higher level goes on.
//!
//! **Skills.** A caller may need skills of its agent ([`Needs`]). Whoever lacks one counts as not there: this filter comes before levels
//! and strategies, and changes nothing about their order. Needs have steps, so that a caller asks less the longer it waits since it
//! joined; who asks for something that nobody can do waits until it asks less, or for its limits.
//!
//! **Tier rules.** With [`TierRules`] a level must be open to the caller besides: the next one is not called because the lower is busy,
//! but when the caller has waited `wait` since it joined, with `multiply_level` so long for each number of the level. Level 0 is always
//! open. With `no_agent_no_wait` the lowest level on which somebody is logged in is open, too, be they busy or on their way. A level stays
//! open, lower ones go before it, and with `RingAll` its agents ring beside theirs. With a wait of 10 s:
//!
//! | `no_agent_no_wait` | `multiply_level` | levels from 1 | levels from 0 |
//! | --- | --- | --- | --- |
//! | yes | yes | 1 at once, 2 at 20 s, 3 at 30 s | 0 at once, 1 at 10 s, 2 at 20 s |
//! | yes | no | 1 at once, 2 and 3 at 10 s | 0 at once, 1 and 2 at 10 s |
//! | no | yes | 1 at 10 s, 2 at 20 s, 3 at 30 s | 0 at once, 1 at 10 s, 2 at 20 s |
//! | no | no | all at 10 s | 0 at once, 1 and 2 at 10 s |
//!
//! **The floor.** Whatever the delays, an agent who failed a caller is not offered the same caller for 1 s, then 2, 4, 8 and at most 10 s.
//! Others may be offered that caller, and that agent other callers. An offer that was answered elsewhere or given up by the
//! caller is no failure; one that ended because the agent logged out is.
//!
//! # The life of a caller
//! ```text
//! join --> Waiting -- handle_answer --> Talking -- handle_release, leave --> gone
//!           |   ^                          |
//!           |   +----- handle_vanish ------+   at its old place
//!           |
//!           +--> gone: leave, TimedOut, QueueGone
//! ```
//! While it waits, phones ring for it or not; each ring is an [`OfferId`] that ends in exactly one of `handle_answer`, `handle_failure`,
//! [`Output::Withdraw`]. `max_wait_time` is soft: a ring that is under way ends first, but nobody more is rung.
//!
//! `max_wait_time_with_no_agent` counts from the moment when the last agent of the queue went: logged out, or with its phone unregistered;
//! busy agents are there. A caller has the grace at least. A queue that keeps places (`abandoned_resume`) gives a known customer who hung
//! up and joins again in time its old place, once: its score and its tier rules count on, its limits begin anew.
//!
//! # The life of an agent
//! ```text
//! Idle -- Offer --> Offered -- handle_answer --> Talking -- handle_release --> WrapUp, or Parked on demand --> Idle
//!                    |   |                         |
//!           Withdraw |   | handle_failure,         | handle_vanish
//!                    |   | NoAnswer                |
//!                    v   v                         v
//!                 Idle   resting: Idle for people, but not offered --> Idle
//! ```
//! A new agent is unregistered until `handle_reach` says otherwise, after a reload too.
//! An agent is offered calls when its [`Status`] is `Available` or `OnDemand`, its [`Reach`] is `Reachable` and it does nothing. [`State`]
//! is derived from what rings and who talks, so it cannot say otherwise. The three are independent:
//!
//! | event | while `Offered` | while `Talking` |
//! | --- | --- | --- |
//! | `set_status(OnBreak or LoggedOut)` | withdrawn with `AgentGone` | the conversation goes on |
//! | `set_status(Available or OnDemand)` | rings on | the conversation goes on |
//! | `handle_reach(Busy or Unregistered)` | rings on: call control tells how it ends | the conversation goes on |
//! | removed by `configure` | withdrawn with `AgentGone` | the conversation goes on; the agent is gone after it |
//!
//! | after | rests for | ends early |
//! | --- | --- | --- |
//! | a conversation | the agent's `wrap_up_time`, else the queue's; `prolong_wrap_up` adds to it | when it is `ready` |
//! | a conversation on demand | ever: it is `Parked` | when it is `ready`, or somebody sets `Available` or `OnDemand` anew |
//! | no answer, `handle_vanish` | `no_answer_delay_time` | when it is `ready` |
//! | a rejection | `reject_delay_time` | when it is `ready` |
//! | busy | `busy_delay_time` | when it is `ready` |
//! | unreachable | 5 s | when `handle_reach` says `Reachable`, or it is `ready` |
//!
//! After `max_no_answer` no answers, one after the other, an agent has the `agent_no_answer_status` of the queue of the last one
//! ([`Output::StatusChanged`]). Rejections, busy and unreachable phones, and answers that vanish do not count; an answer ends the row, and
//! so does a status that takes calls. The end of a break makes nobody look idle for longer or fresh: clocks and counts go on.
//!
//! # Why
//! Every offer says why it was this agent ([`Picked`]): what the strategy measured, and who would have gone before but is held back.
//! [`Engine::why`] says it of a caller who waits: for each agent of its queue the first reason that holds it back and until when
//! ([`Held`]), and [`Engine::held`] of an agent. They ask the same functions as the decision, so they cannot say otherwise.
//!
//! # What happened
//! Who keeps a log says so by [`Engine::keep_notes`] and drains [`Engine::poll_note`] beside the outputs. At the next start
//! [`Engine::restore`] gives each agent back what that log knows of it.
//!
//! # Limits
//! Callers: `capacity` per queue, then [`Refused::Full`]. Offers: one per agent. Whom a queue has for what is asked there is kept from the first
//! such caller to the next plan. Timers: three per caller, one per agent, and one per pair
//! under the floor. Kept places: 10,000 per queue, customers whose last agent is known: 100,000; the oldest give way. Any time in a plan counts as a year at most. What a decision costs: `bench queue`.

mod agent;
mod caller;
mod customers;
mod engine;
mod held;
mod lots;
mod note;
mod offer;
mod order;
mod pace;
mod plan;
mod pool;
mod queue;
mod skills;
mod tiers;
mod timer;
mod tries;

pub use agent::{Reach, State};
pub use caller::{Arrival, CustomerId, Departure, Limit, Refused, Ticket};
pub use engine::Engine;
pub use held::{Candidate, Held, Picked, Why};
pub use note::{Leaving, Note, Past};
pub use offer::{Failure, OfferId, Output, Withdrawal};
pub use order::Merit;
pub use plan::{
    AgentId, AgentSettings, BreakReason, Membership, Needs, NeedsId, NeedsStep, NoAgentLimit, Plan,
    QueueId, QueueSettings, Skill, Status, Strategy, TierRules,
};
pub use timer::Wake;

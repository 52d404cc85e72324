//! What all calls share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use media::mixer::RecordingId;
use queue::{AgentId, Engine, OfferId, Reach, Ticket};
use sip::Endpoint;
use sip::endpoint::{Account, LegId};

use crate::clock::Clock;
use crate::exchange::{CallId, Output};
use crate::ports::Ports;
use crate::presence::Presence;
use crate::queue_log::QueueLog;
use crate::settings::{ConferenceId, Settings};
use crate::trunk::{Accounts, Outside, Trunks};

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Switchboard {
    pub(crate) settings: Settings,
    /// The agents of each phone: `settings.agents` turned round.
    pub(crate) agents: BTreeMap<Account, Vec<AgentId>>,
    pub(crate) sip: Endpoint,
    pub(crate) queue: Engine,
    pub(crate) ports: Ports,
    pub(crate) presence: Presence,
    pub(crate) clock: Clock,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) routes: Routes,
    /// Calls of supervisors, and some that were.
    pub(crate) supervisors: BTreeSet<CallId>,
    /// Calls that are in a conference, and some that were.
    pub(crate) conferences: BTreeMap<ConferenceId, BTreeSet<CallId>>,
    pub(crate) queue_log: QueueLog,
    pub(crate) sessions: u64,
    /// What the keys of their SRTP are made from.
    pub(crate) seed: [u8; 32],
    /// The SHA-256 of our certificate for DTLS.
    pub(crate) certificate: Option<[u8; 32]>,
    pub(crate) plays: u64,
    pub(crate) recordings: u64,
    /// Somebody watches the signalling and is told whose dialog is whose.
    pub(crate) is_watched: bool,
    pub(crate) trunks: Trunks,
    /// What accounts have used up outside.
    pub(crate) accounts: Accounts,
    /// How often an account reached what it may do there in a day.
    pub(crate) alarms: u64,
}

/// Which call an event is for.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) legs: BTreeMap<LegId, CallId>,
    pub(crate) streams: BTreeMap<media::LegId, CallId>,
    pub(crate) tickets: BTreeMap<Ticket, CallId>,
    pub(crate) offers: BTreeMap<OfferId, CallId>,
    pub(crate) recordings: BTreeMap<RecordingId, CallId>,
}

impl Routes {
    /// What was for one call is for another from now.
    pub(crate) fn rename(&mut self, old: CallId, new: CallId) {
        let calls = self.legs.values_mut().chain(self.streams.values_mut());
        let calls = calls.chain(self.tickets.values_mut());
        let calls = calls.chain(self.offers.values_mut());
        for call in calls.chain(self.recordings.values_mut()) {
            if *call == old {
                *call = new;
            }
        }
    }
}

impl Switchboard {
    /// The call's name, for ever: the start of the switch and its number.
    pub(crate) fn call_name(&self, call: CallId) -> String {
        format!("{}-{}", self.clock.start(), call.0)
    }

    /// What comes from this leg is for this call.
    pub(crate) fn route_leg(&mut self, leg: LegId, call: CallId) {
        self.routes.legs.insert(leg, call);
        if self.is_watched {
            self.tell_dialog(leg, call);
        }
    }

    /// Tells who watches that the leg's dialog belongs to the call.
    pub(crate) fn tell_dialog(&mut self, leg: LegId, call: CallId) {
        if let Some(call_id) = self.sip.call_id(leg).map(str::to_owned) {
            let call = self.call_name(call);
            self.outputs.push_back(Output::Dialog { call, call_id });
        }
    }

    /// Takes queues, agents and their phones from the settings.
    pub(crate) fn learn_plan(&mut self, now: Instant) {
        self.agents.clear();
        for (agent, account) in &self.settings.agents {
            self.agents
                .entry(account.clone())
                .or_default()
                .push(agent.clone());
        }
        self.queue.configure(self.settings.plan.clone(), now);
        // Whether an outside number can be reached is found out by calling it.
        for agent in self.settings.outside.agents.keys() {
            self.queue.handle_reach(agent, Reach::Reachable, now);
        }
        for account in self.agents.keys().cloned().collect::<Vec<Account>>() {
            self.tell_reach(&account, now);
        }
    }

    /// What accounts may do outside is counted by the day.
    pub(crate) fn learn_day(&mut self, now: Instant) {
        let today = self.clock.moment(now).date();
        self.accounts.set_day(today, &self.settings.outside, now);
    }

    /// Takes the trunks from the settings; `before` are those until now.
    pub(crate) fn learn_trunks(&mut self, before: &Outside, now: Instant) {
        let outside = &self.settings.outside;
        self.accounts.configure(outside);
        self.trunks.configure(before, outside, &mut self.sip, now);
    }

    /// Tells the queue engine what the phone's agents can do now.
    pub(crate) fn tell_reach(&mut self, account: &Account, now: Instant) {
        let registered = self.sip.is_registered(account);
        for agent in self.agents.get(account).into_iter().flatten() {
            let reach = if !registered {
                Reach::Unregistered
            } else if self.presence.is_busy_for(account, agent) {
                Reach::Busy
            } else {
                Reach::Reachable
            };
            self.queue.handle_reach(agent, reach, now);
        }
    }
}

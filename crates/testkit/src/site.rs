//! The call centre of the tests: the sample configuration with tones for sounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use call::Settings;
use call::settings::{Announcement, Destination, Service, Sounds, Supervision};
use call::trunk::Outside;
use media::Sound;
use media::tone::sine;
use queue::{
    AgentId, AgentSettings, BreakReason, Membership, Plan, QueueId, QueueSettings, Status, Strategy,
};
use sip::endpoint::Account;

/// Which tone stands for which sound, in Hz.
pub mod tones {
    /// The start sound, 2 s.
    pub const START: f64 = 600.0;
    /// The announcement, 3 s.
    pub const ANNOUNCEMENT: f64 = 1_000.0;
    /// Music on hold.
    pub const MUSIC: f64 = 300.0;
    /// The ringing tone.
    pub const RINGING: f64 = 425.0;
    /// The busy tone.
    pub const BUSY: f64 = 500.0;
    /// Confirms a log-in.
    pub const LOGGED_IN: f64 = 1_300.0;
    /// Confirms a log-out.
    pub const LOGGED_OUT: f64 = 1_500.0;
    /// The phone has no agent.
    pub const NOT_AN_AGENT: f64 = 1_700.0;
    /// Somebody has come into a conference.
    pub const JOINED: f64 = 1_900.0;
    /// Somebody has gone from a conference.
    pub const LEFT: f64 = 2_100.0;
}

/// Settings to begin a test with; change what the test is about.
#[derive(Clone, Debug)]
pub struct Site {
    /// What the exchange gets.
    pub settings: Settings,
}

impl Site {
    /// Phones 201 to 210, queue `support` at 700 (round-robin) with the agents 201 to 204 on the phones of that name.
    #[must_use]
    pub fn sample() -> Self {
        Self::with_agents(10, 4)
    }

    /// Phones from 201 on, the first `agents` of them agents of `support`.
    #[must_use]
    pub fn with_agents(phones: u32, agents: u32) -> Self {
        let names: Vec<Arc<str>> = (201..201 + phones).map(|n| n.to_string().into()).collect();
        let support = QueueId("support".into());
        let agents: Vec<Arc<str>> = names.iter().take(agents as usize).cloned().collect();
        let mut numbers = BTreeMap::new();
        for (number, destination) in [
            ("700", Destination::Queue(support.clone().into())),
            ("600", Destination::Echo),
            ("601", Destination::Music),
            ("*45", Destination::SetStatus(Status::Available)),
            ("*46", Destination::SetStatus(Status::LoggedOut)),
            (
                "*47",
                Destination::SetStatus(Status::OnBreak(BreakReason("lunch".into()))),
            ),
            ("*48", Destination::SetStatus(Status::OnDemand)),
            ("*49", Destination::Ready),
            ("*50", Destination::Supervise(Supervision::Listen)),
            ("*51", Destination::Supervise(Supervision::Whisper)),
            ("*52", Destination::Supervise(Supervision::Barge)),
        ] {
            numbers.insert(number.to_owned(), destination);
        }
        let settings = Settings {
            sip: sip::endpoint::Settings {
                realm: "ringmaster".to_owned(),
                digests: vec![sip::digest::Algorithm::Sha256, sip::digest::Algorithm::Md5],
                accounts: names
                    .iter()
                    .map(|name| (Account(name.clone()), password(name)))
                    .collect(),
                min_expires: Duration::from_secs(60),
                max_expires: Duration::from_secs(3_600),
                session_expires: Duration::from_secs(1_800),
                product: "Ringmaster".to_owned(),
                defence: sip::guard::Defence::default(),
                nat: sip::nat::Nat::default(),
            },
            numbers,
            queues: BTreeMap::from([(support.clone(), service())]),
            agents: agents
                .iter()
                .map(|name| (AgentId(name.clone()), Account(name.clone())))
                .collect(),
            plan: plan(support, &agents),
            sounds: sounds(),
            supervisors: BTreeSet::new(),
            ring_timeout: Duration::from_secs(60),
            max_calls: 1_000,
            recording_name: "{date}/{time}-{queue}-{caller}-{agent}".to_owned(),
            groups: BTreeMap::new(),
            srtp: call::settings::Each::default(),
            codecs: call::settings::Each::default(),
            audio: call::settings::Each::default(),
            outside: Outside {
                listeners: vec![
                    (
                        sip::Transport::Udp,
                        "192.0.2.1:5060".parse().expect("an address"),
                    ),
                    (
                        sip::Transport::Tcp,
                        "192.0.2.1:5060".parse().expect("an address"),
                    ),
                ],
                ..Outside::default()
            },
        };
        Self { settings }
    }

    /// The service of `support`.
    pub fn service(&mut self) -> &mut Service {
        self.settings
            .queues
            .get_mut(&QueueId("support".into()))
            .expect("the site has it")
    }

    /// The plan of `support`.
    pub fn queue(&mut self) -> &mut QueueSettings {
        &mut self.settings.plan.queues[0]
    }

    /// Changes every agent.
    pub fn each_agent(&mut self, change: impl Fn(&mut AgentSettings)) {
        self.settings.plan.agents.iter_mut().for_each(change);
    }
}

pub(crate) fn password(phone: &str) -> String {
    format!("ringmaster-{phone}")
}

fn service() -> Service {
    Service {
        start_sound: Some(tone(tones::START, 2)),
        agent_announcement: None,
        waiting: tone(tones::MUSIC, 8),
        announce: Some(Announcement {
            sound: Some(tone(tones::ANNOUNCEMENT, 3)),
            position: None,
            wait: None,
            every: Duration::from_secs(15),
            beside: false,
        }),
        exit_key: None,
        timeout_transfer_dst: None,
        no_agent_timeout_transfer_dst: None,
        overflow_transfer_dst: None,
        record_enabled: true,
        record_pause_key: None,
    }
}

fn plan(support: QueueId, agents: &[Arc<str>]) -> Plan {
    let membership = |(agent, position): (&Arc<str>, u32)| Membership {
        agent: AgentId(agent.clone()),
        level: 1,
        position,
    };
    Plan {
        queues: vec![QueueSettings {
            id: support,
            strategy: Strategy::RoundRobin,
            ring_progressively_delay: Duration::from_secs(10),
            tier_rules: None,
            max_wait_time: Some(Duration::from_secs(3_600)),
            max_wait_time_with_no_agent: None,
            abandoned_resume: None,
            wrap_up_time: Duration::ZERO,
            agent_no_answer_status: Status::LoggedOut,
            capacity: 1_000,
            members: agents.iter().zip(1..).map(membership).collect(),
        }],
        agents: agents
            .iter()
            .map(|name| AgentSettings {
                id: AgentId(name.clone()),
                status: Status::Available,
                skills: BTreeMap::new(),
                call_timeout: Duration::from_secs(20),
                wrap_up_time: None,
                max_no_answer: 0,
                no_answer_delay_time: Duration::from_secs(10),
                reject_delay_time: Duration::from_secs(10),
                busy_delay_time: Duration::from_secs(10),
            })
            .collect(),
        needs: Vec::new(),
    }
}

fn sounds() -> Sounds {
    Sounds {
        music: tone(tones::MUSIC, 8),
        ringing: tone(tones::RINGING, 4),
        busy: tone(tones::BUSY, 4),
        logged_in: tone(tones::LOGGED_IN, 1),
        logged_out: tone(tones::LOGGED_OUT, 1),
        not_an_agent: tone(tones::NOT_AN_AGENT, 1),
        joined: tone(tones::JOINED, 1),
        left: tone(tones::LEFT, 1),
    }
}

fn tone(hz: f64, seconds: u64) -> Arc<Sound> {
    Arc::new(Sound::new(sine(hz, 8_000, Duration::from_secs(seconds))))
}

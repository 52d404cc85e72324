//! The checked configuration as call control wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use call::settings::{Announcement, Service, Settings, Sounds};
use call::spoken::{Language, Voice};
use call::trunk::Outside;
use media::Sound;
use queue::Plan;

use super::{Announce, Checked, Queue, Reached, Report, SoundName};
use crate::sounds::Library;

/// How long a caller hears that nobody was found: long enough to be understood, and not to be paid for.
const BUSY_TIME: Duration = Duration::from_secs(4);

/// Every sound of a configuration, decoded.
#[derive(Debug)]
pub(crate) struct DecodedSounds {
    by_name: BTreeMap<SoundName, Arc<Sound>>,
    voices: BTreeMap<Language, Arc<Voice>>,
    ringing: Arc<Sound>,
}

impl DecodedSounds {
    fn get(&self, name: &SoundName) -> Arc<Sound> {
        let sound = self
            .by_name
            .get(name)
            .expect("every sound of the configuration was decoded");
        Arc::clone(sound)
    }

    fn announcement(&self, announce: &Announce) -> Announcement {
        let voice = || self.voices.get(&announce.language).cloned();
        Announcement {
            sound: announce.sound.as_ref().map(|name| self.get(name)),
            position: announce.position.then(voice).flatten(),
            wait: announce.wait.then(voice).flatten(),
            every: announce.every,
            beside: announce.beside,
        }
    }

    /// One after the other; without any, the ringing tone.
    fn playlist(&self, names: &[SoundName]) -> Arc<Sound> {
        match names {
            [] => Arc::clone(&self.ringing),
            [name] => self.get(name),
            names => {
                let sounds: Vec<_> = names.iter().map(|name| self.get(name)).collect();
                Arc::new(Sound::joined(sounds.iter().map(|sound| &**sound)))
            }
        }
    }
}

impl Checked {
    /// Decodes every sound that is named, and has not been before.
    ///
    /// # Errors
    /// Every sound that cannot be decoded, at the place where it is named.
    pub(crate) fn decode_sounds(&self, library: &mut Library) -> Result<DecodedSounds, Report> {
        let files = self.sounds.values().map(|used| used.file.as_str());
        let mut loaded = library.load(&self.sounds_folder, files, self.even_loudness);
        let mut by_name = BTreeMap::new();
        let mut faults = Vec::new();
        for (name, used) in &self.sounds {
            match loaded.remove(used.file.as_str()) {
                Some(Ok(sound)) => {
                    by_name.insert(name.clone(), sound);
                }
                Some(Err(fault)) => faults.push(format!("{}: {fault}", used.named_at)),
                None => {}
            }
        }
        let announces = self
            .queues
            .values()
            .filter_map(|queue| queue.announce.as_ref());
        let spoken = announces.filter(|it| it.speaks()).map(|it| it.language);
        let mut voices = BTreeMap::new();
        for language in spoken.collect::<BTreeSet<_>>() {
            match library.voice(&self.sounds_folder, language, self.even_loudness) {
                Ok(voice) => {
                    voices.insert(language, voice);
                }
                Err(fault) => faults.push(fault.to_string()),
            }
        }
        if faults.is_empty() {
            Ok(DecodedSounds {
                by_name,
                voices,
                ringing: Arc::new(self.tones.ringing()),
            })
        } else {
            Err(Report::of(self.shown_dir.clone(), faults))
        }
    }

    /// The same for call control, with the sounds that `decode_sounds` of this configuration gave.
    pub(crate) fn settings(&self, library: &DecodedSounds) -> Settings {
        let accounts = self
            .phones
            .iter()
            .map(|(phone, it)| (phone.clone(), it.0.clone()));
        let service = |queue: &Queue| Service {
            start_sound: queue.start_sound.as_ref().map(|name| library.get(name)),
            agent_announcement: queue
                .agent_announcement
                .as_ref()
                .map(|name| library.get(name)),
            waiting: library.playlist(&queue.sound),
            announce: queue.announce.as_ref().map(|it| library.announcement(it)),
            exit_key: queue.exit_key.clone(),
            timeout_transfer_dst: queue.timeout_transfer_dst.clone(),
            no_agent_timeout_transfer_dst: queue.no_agent_timeout_transfer_dst.clone(),
            overflow_transfer_dst: queue.overflow_transfer_dst.clone(),
            record_enabled: queue.record_enabled,
            record_pause_key: queue.record_pause_key,
        };
        Settings {
            sip: sip::endpoint::Settings {
                realm: self.sip.realm.clone(),
                digests: self.sip.digests.clone(),
                accounts: accounts.collect(),
                min_expires: self.sip.min_expires,
                max_expires: self.sip.max_expires,
                session_expires: self.sip.session_expires,
                product: concat!("Ringmaster/", env!("CARGO_PKG_VERSION")).to_owned(),
                defence: self.defence.clone(),
                nat: self.nat.clone(),
            },
            numbers: self.numbers.clone(),
            queues: self
                .queues
                .iter()
                .map(|(id, queue)| (id.clone(), service(queue)))
                .collect(),
            agents: self
                .agents
                .iter()
                .filter_map(|(id, it)| match &it.reached {
                    Reached::Phone(phone) => Some((id.clone(), phone.clone())),
                    Reached::Outside(_) => None,
                })
                .collect(),
            plan: self.plan(),
            sounds: Sounds {
                music: library.get(&self.switch_sounds.music),
                ringing: Arc::clone(&library.ringing),
                busy: Arc::new(self.busy()),
                logged_in: library.get(&self.switch_sounds.logged_in),
                logged_out: library.get(&self.switch_sounds.logged_out),
                not_an_agent: library.get(&self.switch_sounds.not_an_agent),
                joined: Arc::new(media::tone::confirmation()),
                left: Arc::new(media::tone::farewell()),
            },
            supervisors: self.supervisors.clone(),
            ring_timeout: self.calls.ring_timeout,
            max_calls: self.calls.max_calls,
            recording_name: self.recording_name.clone(),
            groups: self.groups.clone(),
            outside: self.outside(),
            srtp: self.srtp.clone(),
            codecs: self.codecs.clone(),
            audio: self.audio.clone(),
        }
    }
}

impl Checked {
    /// So much of the busy tone as one listens to.
    fn busy(&self) -> Sound {
        let once = self.tones.busy();
        let times = BUSY_TIME.as_millis().div_ceil(once.duration().as_millis());
        Sound::joined(std::iter::repeat_n(&once, times as usize))
    }

    /// What the queue engine needs.
    pub(crate) fn plan(&self) -> Plan {
        let queues = self.queues.values();
        let agents = self.agents.values();
        Plan {
            queues: queues.map(|queue| queue.plan.clone()).collect(),
            agents: agents.map(|agent| agent.plan.clone()).collect(),
            needs: self.needs.clone(),
        }
    }

    /// The world outside with what other files say about it.
    pub(super) fn outside(&self) -> Outside {
        let remote = self.agents.iter().filter_map(|(id, it)| match &it.reached {
            Reached::Phone(_) => None,
            Reached::Outside(number) => Some((id.clone(), number.clone())),
        });
        Outside {
            listeners: self
                .sip
                .listeners
                .iter()
                .map(|listener| (listener.transport, listener.address))
                .collect(),
            agents: remote.collect(),
            ..self.outside.clone()
        }
    }

    /// What the configuration comes to, in a few lines for people; the last ones say what is not safe.
    pub(crate) fn summary(&self) -> String {
        let listeners: Vec<String> = self.sip.listeners.iter().map(ToString::to_string).collect();
        let addresses: Vec<String> = self.rtp.addresses.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "SIP on {}\nRTP on {}, ports {} to {}\n{}, {} with {}, {}, {}, {}\n",
            listeners.join(", "),
            addresses.join(", "),
            self.rtp.first_port,
            self.rtp.last_port,
            counted(self.phones.len(), "phone"),
            counted(self.queues.len(), "queue"),
            counted(self.agents.len(), "agent"),
            counted(self.numbers.len(), "number"),
            counted(self.outside.trunks.len(), "trunk"),
            counted(self.sounds.len(), "sound"),
        );
        for point in &self.unsafe_points {
            text.push_str("unsafe: ");
            text.push_str(point);
            text.push('\n');
        }
        text
    }
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

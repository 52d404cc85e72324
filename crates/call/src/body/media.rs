//! What a call asks of the mixer.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use media::Sound;
use media::mixer::{Command, Over, PlayId, RecordingId, StreamSettings};
use sip::endpoint::LegId;

use super::Body;
use crate::effects::Effects;
use crate::leg::{Leg, Media, Signalling, stream_settings};

/// Who hears whom besides: the listener, then the talker.
pub(crate) type Heard = BTreeSet<(media::LegId, media::LegId)>;

impl Body {
    /// A command for the leg's stream: at once, or when the ACK has opened it; none for a stream that ends.
    fn command(&mut self, leg: LegId, command: Command, fx: &mut Effects<'_>) {
        let Some(leg) = self.legs.get_mut(&leg) else {
            return;
        };
        match &mut leg.media {
            Media::Open => fx.media(self.worker, command),
            Media::AwaitsAck(commands) => commands.push(command),
            Media::Reserved | Media::Closing | Media::Closed(_) => {}
        }
    }

    /// Plays a sound once in the place of all else; `Event::Played` tells its end.
    pub(crate) fn play(&mut self, leg: LegId, sound: Arc<Sound>, fx: &mut Effects<'_>) -> PlayId {
        self.play_over(Over::All, leg, sound, fx)
    }

    /// The same, in the place of all else or beside it.
    pub(crate) fn play_over(
        &mut self,
        over: Over,
        leg: LegId,
        sound: Arc<Sound>,
        fx: &mut Effects<'_>,
    ) -> PlayId {
        let play = fx.next_play();
        self.command(
            leg,
            Command::Play {
                leg: media::LegId(leg.0),
                sound,
                over,
                play,
            },
            fx,
        );
        play
    }

    /// What the leg hears while nothing else is to be heard.
    pub(crate) fn background(
        &mut self,
        leg: LegId,
        sound: Option<Arc<Sound>>,
        fx: &mut Effects<'_>,
    ) {
        self.command(
            leg,
            Command::Background {
                leg: media::LegId(leg.0),
                sound,
            },
            fx,
        );
    }

    pub(crate) fn stop_play(&mut self, leg: LegId, fx: &mut Effects<'_>) {
        self.command(
            leg,
            Command::StopPlay {
                leg: media::LegId(leg.0),
            },
            fx,
        );
    }

    pub(crate) fn echo(&mut self, leg: LegId, fx: &mut Effects<'_>) {
        self.command(
            leg,
            Command::Echo {
                leg: media::LegId(leg.0),
            },
            fx,
        );
    }

    /// The leg's peer hears a key.
    pub(crate) fn press(&mut self, leg: LegId, key: char, fx: &mut Effects<'_>) {
        self.command(
            leg,
            Command::Press {
                leg: media::LegId(leg.0),
                key,
            },
            fx,
        );
    }

    // What concerns the caller and another leg goes by the caller's: only its stream may still wait for an ACK, and then
    // all of it waits, in order.

    /// The caller and the called phone hear each other.
    pub(crate) fn bridge(&mut self, callee: LegId, fx: &mut Effects<'_>) {
        self.command(
            self.caller,
            Command::Bridge {
                a: media::LegId(self.caller.0),
                b: media::LegId(callee.0),
            },
            fx,
        );
    }

    /// Both hear their background again.
    pub(crate) fn unbridge(&mut self, fx: &mut Effects<'_>) {
        self.command(
            self.caller,
            Command::Unbridge {
                leg: media::LegId(self.caller.0),
            },
            fx,
        );
    }

    /// Has the caller hear, and be heard by, `after` in the place of `before`, on the RTP worker of those whom it meets.
    pub(crate) fn meet(
        &mut self,
        mut before: Heard,
        after: &Heard,
        worker: Option<u16>,
        fx: &mut Effects<'_>,
    ) {
        if let Some(worker) = worker
            && worker != self.worker()
        {
            // A leg that passes leaves behind whom it heard.
            before.clear();
            self.move_to(worker, fx);
        }
        for &(listener, talker) in before.difference(after) {
            self.command(self.caller, Command::Unmix { listener, talker }, fx);
        }
        for &(listener, talker) in after.difference(&before) {
            self.command(self.caller, Command::Mix { listener, talker }, fx);
        }
    }

    /// Records what the caller (left) and the called phone (right) say.
    pub(crate) fn record(
        &mut self,
        callee: LegId,
        path: PathBuf,
        fx: &mut Effects<'_>,
    ) -> RecordingId {
        let recording = fx.next_recording();
        let command = Command::Record {
            recording,
            path,
            left: media::LegId(self.caller.0),
            right: media::LegId(callee.0),
        };
        self.command(self.caller, command, fx);
        recording
    }

    /// Silence stands in the recording from now on, or no longer.
    pub(crate) fn pause_recording(
        &mut self,
        recording: RecordingId,
        paused: bool,
        fx: &mut Effects<'_>,
    ) {
        self.command(
            self.caller,
            Command::PauseRecording { recording, paused },
            fx,
        );
    }

    pub(crate) fn stop_recording(&mut self, recording: RecordingId, fx: &mut Effects<'_>) {
        let command = Command::StopRecording { recording };
        match self.legs.get_mut(&self.caller).map(|leg| &mut leg.media) {
            Some(Media::AwaitsAck(commands)) => commands.push(command),
            // The recording may outlive the caller's stream.
            Some(Media::Reserved | Media::Open | Media::Closing | Media::Closed(_)) | None => {
                fx.media(self.worker, command);
            }
        }
    }
}

/// Opens the leg's stream as agreed, on the call's worker, then gives it the commands that waited for it.
pub(super) fn open(leg: &mut Leg, worker: u16, commands: Vec<Command>, fx: &mut Effects<'_>) {
    let Some(settings) = settings(leg, fx) else {
        return;
    };
    let open = Command::Open {
        leg: leg.stream(),
        port: leg.port,
        settings,
    };
    leg.media = Media::Open;
    fx.route_stream(leg.stream());
    fx.media(leg.port.worker, open);
    if leg.port.worker != worker {
        fx.pass(leg.stream(), leg.port.worker, worker);
    }
    for command in commands {
        fx.media(worker, command);
    }
}

pub(super) fn update(leg: &Leg, worker: u16, fx: &mut Effects<'_>) {
    if let (Some(settings), Media::Open) = (settings(leg, fx), &leg.media) {
        let leg = leg.stream();
        fx.media(worker, Command::Update { leg, settings });
    }
}

/// What the mixer must know of the leg's agreement. Who has not answered, or was not answered, need not speak.
fn settings(leg: &Leg, fx: &Effects<'_>) -> Option<StreamSettings> {
    let audio = fx.audio(&leg.account);
    let mut settings = stream_settings(leg.agreed.as_ref()?, &leg.flow, audio);
    settings.receive &= leg.signalling == Signalling::Up;
    Some(settings)
}

//! When everything is over, nothing may be left.

use ::media::Mixer;
use call::exchange::{Load, Wake};

use super::{Media, World};

impl World {
    /// Everything is over: no call, no leg, no ticket, no offer, no timer but those of bindings; every RTP port free.
    /// Delays after failed offers and wrap-up times must have passed, and 32 s since the last message.
    ///
    /// # Panics
    /// If something is left.
    pub fn assert_at_rest(&self) {
        let ladder = || self.ladder.draw();
        assert_eq!(
            self.exchange.load(),
            Load::default(),
            "left behind:\n{}",
            ladder()
        );
        assert_eq!(
            self.exchange.free_ports(),
            self.rtp_ports.len(),
            "an RTP port leaked\n{}",
            ladder()
        );
        match self.exchange.poll_timeout() {
            None | Some((_, Wake::Sip(sip::endpoint::Wake::Binding))) => {}
            Some((at, wake)) => panic!("{wake:?} in {:?}\n{}", at - self.now, ladder()),
        }
        match &self.media {
            Media::Mixers(mixers) => {
                let legs: usize = mixers.iter().map(Mixer::legs).sum();
                assert_eq!(legs, 0, "a stream is left\n{}", ladder());
            }
            Media::Stopwatch(stopwatch) => assert!(stopwatch.is_empty(), "{stopwatch:?}"),
        }
        assert!(self.aligners.is_empty(), "a recording is open");
        assert_eq!(self.exchange.panics(), 0, "call control panicked");
    }
}

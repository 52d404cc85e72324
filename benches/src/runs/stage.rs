//! A running switch with its phones registered.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Row;
use crate::load::{Happening, Load};
use crate::machine;
use crate::options::Options;
use crate::sip::{Event, Phone};
use crate::target::{Kind, Layout, Measured as _, QUEUE, Running};

/// Longest wait for any single thing on loopback; far above what a switch in order needs.
const PATIENCE: Duration = Duration::from_secs(40);
/// Registrations under way at once, so that no socket buffer overflows.
const REGISTRATIONS_AT_ONCE: usize = 20;

/// Loopback addresses from 127.1.0.1 on.
fn own_address(index: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + index as u32)
}

/// A switch, its phones, and the generator that plays them.
pub(super) struct Stage {
    pub(super) switch: Running,
    pub(super) load: Load,
}

/// Both parties of a call: phone and stream have the same index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) caller: usize,
    pub(super) callee: usize,
}

impl Stage {
    /// Starts the switch, and a phone and a stream for each number; registers them all.
    pub(super) fn set_up(kind: Kind, layout: &Layout, options: &Options) -> Result<Self, String> {
        Self::set_up_some(kind, layout, layout.phones, options)
    }

    /// The same with a stream and a registration for the first `callers` phones alone. Each of the others has an address of its own.
    pub(super) fn set_up_some(
        kind: Kind,
        layout: &Layout,
        callers: usize,
        options: &Options,
    ) -> Result<Self, String> {
        machine::allow_files()?;
        let switch = Running::start(kind, layout, options)?;
        let mut load = Load::new()?;
        for index in 0..layout.phones {
            let number = Layout::number(index);
            let (password, server) = (Layout::password(&number), switch.server);
            let address = match index.checked_sub(callers) {
                None => Ipv4Addr::LOCALHOST,
                Some(other) => own_address(other),
            };
            let mut phone = Phone::at(address, &number, &password, server)?;
            if layout.encrypted {
                phone.encrypt();
            }
            load.add_phone(phone)?;
            if index < callers {
                load.add_stream()?;
            }
        }
        let mut stage = Self { switch, load };
        stage.register_all(callers)?;
        Ok(stage)
    }

    fn register_all(&mut self, phones: usize) -> Result<(), String> {
        let (mut asked, mut registered) = (0, 0);
        while registered < phones {
            while asked < phones && asked - registered < REGISTRATIONS_AT_ONCE {
                self.load.command(asked, Phone::register);
                asked += 1;
            }
            let happening = self.expect("a registration")?;
            match happening.event {
                Event::Registered => registered += 1,
                other @ (Event::Refused(_)
                | Event::Ringing
                | Event::Answered(_)
                | Event::Incoming
                | Event::Connected(_)
                | Event::Cancelled
                | Event::Ended
                | Event::Released) => {
                    return Err(self.complain(&format!(
                        "phone {} got {other:?} instead of a registration",
                        happening.phone
                    )));
                }
            }
        }
        Ok(())
    }

    /// The next thing that happens, or what did not.
    pub(super) fn expect(&mut self, what: &str) -> Result<Happening, String> {
        match self.load.next(Instant::now() + PATIENCE)? {
            Some(happening) => Ok(happening),
            None => Err(self.complain(&format!(
                "{what} did not come within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// The error with the last words of the switch.
    pub(super) fn complain(&self, error: &str) -> String {
        format!("{error}\n{}", self.switch.last_words())
    }

    /// A phone calls a number.
    pub(super) fn dial(&mut self, caller: usize, number: &str) {
        let media = self.load.stream_address(caller);
        self.load
            .command(caller, |phone, now| phone.dial(number, media, now));
    }

    /// A phone takes the call that rings.
    pub(super) fn answer(&mut self, phone: usize) {
        let media = self.load.stream_address(phone);
        self.load
            .command(phone, |phone, now| phone.answer(media, now));
    }

    /// A phone calls a number at which the switch itself answers; gives where it would talk to.
    pub(super) fn call_switch(
        &mut self,
        caller: usize,
        number: &str,
    ) -> Result<SocketAddr, String> {
        self.dial(caller, number);
        loop {
            let Happening { phone, event, .. } = self.expect("an answered call")?;
            match event {
                Event::Answered(audio) if phone == caller => return Ok(audio),
                Event::Ringing | Event::Released => {}
                other @ (Event::Registered
                | Event::Refused(_)
                | Event::Answered(_)
                | Event::Incoming
                | Event::Connected(_)
                | Event::Cancelled
                | Event::Ended) => {
                    return Err(self.complain(&format!(
                        "phone {phone} got {other:?} while phone {caller} called {number}"
                    )));
                }
            }
        }
    }

    /// One phone calls a number; whoever rings answers. Without a word; gives where the caller and the callee would talk to.
    pub(super) fn connect_silently(
        &mut self,
        caller: usize,
        number: &str,
    ) -> Result<(Pair, [SocketAddr; 2]), String> {
        self.dial(caller, number);
        let (mut to_caller, mut callee): (Option<SocketAddr>, Option<(usize, SocketAddr)>) =
            (None, None);
        loop {
            if let (Some(caller_audio), Some((callee, callee_audio))) = (to_caller, callee) {
                return Ok((Pair { caller, callee }, [caller_audio, callee_audio]));
            }
            let Happening { phone, event, .. } = self.expect("an answered call")?;
            match event {
                Event::Answered(audio) if phone == caller => to_caller = Some(audio),
                Event::Incoming => {
                    self.answer(phone);
                }
                Event::Connected(audio) => callee = Some((phone, audio)),
                // The last words of calls before.
                Event::Ringing | Event::Released => {}
                other @ (Event::Registered
                | Event::Refused(_)
                | Event::Answered(_)
                | Event::Cancelled
                | Event::Ended) => {
                    return Err(self.complain(&format!(
                        "phone {phone} got {other:?} while phone {caller} called {number}"
                    )));
                }
            }
        }
    }

    /// So many calls, one after the other: the first phones call the last ones, or the queue whose agents those are. Then all talk.
    pub(super) fn connect_all(&mut self, calls: usize, queue: bool) -> Result<Vec<Pair>, String> {
        let mut pairs = Vec::with_capacity(calls);
        for caller in 0..calls {
            let number = if queue {
                QUEUE.to_owned()
            } else {
                Layout::number(calls + caller)
            };
            pairs.push(self.connect_silently(caller, &number)?);
        }
        for (pair, [to_caller, to_callee]) in &pairs {
            self.load.encrypt(pair.caller)?;
            self.load.encrypt(pair.callee)?;
            self.load
                .talk((pair.caller, *to_caller), (pair.callee, *to_callee));
        }
        Ok(pairs.into_iter().map(|(pair, _)| pair).collect())
    }

    /// Every caller hangs up; waits until no phone has a call.
    pub(super) fn hang_up_all(&mut self, pairs: &[Pair]) -> Result<(), String> {
        for pair in pairs {
            self.load.command(pair.caller, Phone::hang_up);
            // A breath each, so that no socket buffer overflows.
            self.load.run_for(Duration::from_millis(2))?;
        }
        let until = Instant::now() + PATIENCE;
        while pairs
            .iter()
            .any(|pair| self.load.is_busy(pair.caller) || self.load.is_busy(pair.callee))
        {
            if Instant::now() > until {
                return Err(self.complain("calls did not end"));
            }
            self.load.run_for(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// CPU time of the switch so far.
    pub(super) fn cpu(&self) -> Result<Duration, String> {
        machine::cpu_time(self.switch.pid())
    }

    /// Resident memory of the switch, KiB.
    pub(super) fn memory(&self) -> Result<u64, String> {
        machine::resident_kib(self.switch.pid())
    }

    /// What the load had to do beside the straight way; all zero (but the challenges) when the switch kept up.
    pub(super) fn add_counters(&self, row: &mut Row) {
        let counters = self.load.counters();
        row.insert(
            "sip_retransmissions".to_owned(),
            json!(counters.retransmissions),
        );
        row.insert("sip_timeouts".to_owned(), json!(counters.timeouts));
        row.insert("sip_challenges".to_owned(), json!(counters.challenges));
    }
}

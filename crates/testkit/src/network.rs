//! The network between the phones and the switch: latency, and if a test wants it loss and disorder.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::{Flow, Transport};

use crate::chance::Chance;

/// One way.
const LATENCY: Duration = Duration::from_millis(1);

/// What becomes of a message on its way, when a test wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives so much later: what was sent after it overtakes it.
    Late(Duration),
    /// It arrives, and so much later once more.
    Twice(Duration),
    /// It never arrives.
    Lost,
}

/// What is on its way.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    ToSwitch(Flow, Bytes),
    ToPhone(Flow, Bytes),
    /// The connection is gone, or could not be opened.
    Closed(Flow),
}

/// Bad weather for datagrams: connections deliver all in order, whatever it costs.
#[derive(Debug)]
struct Weather {
    chance: Chance,
    /// Of 100 datagrams so many are lost, each way.
    loss: u64,
    /// Each datagram is late by up to so many milliseconds, so that they overtake each other.
    jitter: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Network {
    deliveries: BTreeMap<(Instant, u64), Delivery>,
    sent: u64,
    weather: Option<Weather>,
    /// Datagrams that pass until one is lost.
    lost: Option<u64>,
}

impl Network {
    pub(crate) fn worsen(&mut self, loss: u64, jitter: u64, seed: u64) {
        self.weather = Some(Weather {
            chance: Chance::new(seed),
            loss,
            jitter,
        });
    }

    pub(crate) fn lose(&mut self, n: u64) {
        self.lost = Some(n);
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.lost.is_none()
    }

    pub(crate) fn send(&mut self, delivery: Delivery, fate: Option<Fate>, now: Instant) {
        let (Delivery::ToSwitch(flow, _) | Delivery::ToPhone(flow, _) | Delivery::Closed(flow)) =
            &delivery;
        if flow.transport == Transport::Udp
            && let Some(left) = self.lost
        {
            self.lost = left.checked_sub(1);
            if self.lost.is_none() {
                return;
            }
        }
        let mut at = now + LATENCY;
        if flow.transport == Transport::Udp
            && let Some(weather) = &mut self.weather
        {
            if weather.chance.below(100) < weather.loss {
                return;
            }
            at += weather.chance.millis(0, weather.jitter + 1);
        }
        match fate {
            None => {}
            Some(Fate::Late(by)) => at += by,
            Some(Fate::Twice(after)) => self.deliver_at(at + after, delivery.clone()),
            Some(Fate::Lost) => return,
        }
        self.deliver_at(at, delivery);
    }

    fn deliver_at(&mut self, at: Instant, delivery: Delivery) {
        self.sent += 1;
        self.deliveries.insert((at, self.sent), delivery);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.deliveries.keys().next().map(|(at, _)| *at)
    }

    /// What arrives by now.
    pub(crate) fn arrive(&mut self, now: Instant) -> Option<Delivery> {
        let entry = self.deliveries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

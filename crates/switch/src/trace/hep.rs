//! HEP3 export: what passes, to a collector such as Homer (HEP/EEP protocol, revision 32 of January 2015, github.com/sipcapture/HEP).
//!
//! One more reader of the hub, with a thread of its own. A collector that is not there costs nothing but datagrams.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use sip::{Message, Transport};
use tracing::{debug, warn};

use super::frame::Frame;
use super::secrets::hidden;
use super::{Dialog, Passed};

/// How long messages wait for each other: so the call of a first INVITE, which is known a moment after it, goes with it.
const GATHER: Duration = Duration::from_millis(20);
/// Messages that leave at once.
const BATCH: usize = 1_024;
/// Dialogs whose calls are known; the oldest is forgotten.
const MAX_DIALOGS: usize = 16_384;
/// Largest datagram, in octets.
const MAX_DATAGRAM: usize = 65_507;

/// Where to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Export {
    /// The collector's address; UDP.
    pub(crate) collector: SocketAddr,
    /// The capture agent's number: tells this switch from others.
    pub(crate) capture_id: u32,
}

/// The exporting thread's state.
pub(super) struct Exporter {
    socket: UdpSocket,
    capture_id: u32,
    calls: HashMap<String, String>,
    dialogs: VecDeque<String>,
}

impl Exporter {
    /// Opens the socket to the collector; nothing is sent.
    ///
    /// # Errors
    /// The machine has no way to an address of that family.
    pub(super) fn new(export: &Export) -> io::Result<Self> {
        Ok(Self {
            socket: net::collector::connect(export.collector)?,
            capture_id: export.capture_id,
            calls: HashMap::new(),
            dialogs: VecDeque::new(),
        })
    }

    /// Exports until the hub ends. What could not be exported is counted and logged now and then.
    pub(super) fn run(mut self, frames: &Receiver<Arc<Frame>>, lost: &AtomicU64) {
        while let Ok(first) = frames.recv() {
            std::thread::sleep(GATHER);
            let batch: Vec<_> = std::iter::once(first)
                .chain(frames.try_iter().take(BATCH))
                .collect();
            for frame in &batch {
                if let Frame::Dialog(dialog) = &**frame {
                    self.learn(dialog);
                }
            }
            for frame in &batch {
                if let Frame::Message(passed) = &**frame {
                    let packet = self.packet(passed);
                    if let Err(error) = self.socket.send(&packet) {
                        debug!(%error, "HEP packet not sent");
                    }
                }
            }
            let missing = lost.swap(0, Ordering::Relaxed);
            if missing > 0 {
                warn!(
                    missing,
                    "messages came faster than they could be exported by HEP"
                );
            }
        }
    }

    fn learn(&mut self, dialog: &Dialog) {
        let Dialog { call, call_id } = dialog;
        if self.calls.insert(call_id.clone(), call.clone()).is_none() {
            self.dialogs.push_back(call_id.clone());
            if self.dialogs.len() > MAX_DIALOGS
                && let Some(oldest) = self.dialogs.pop_front()
            {
                self.calls.remove(&oldest);
            }
        }
    }

    /// A packet: `HEP3`, its length, and chunks of vendor, type, length and value.
    fn packet(&self, passed: &Passed) -> Vec<u8> {
        // A collector is another machine: what proves or encrypts stays here.
        let octets = hidden(&passed.octets);
        let (source, destination) = (passed.source(), passed.destination());
        let mut packet = Vec::with_capacity(octets.len() + 160);
        packet.put_slice(b"HEP3\0\0");
        let (family, types) = match source.ip() {
            IpAddr::V4(_) => (2, [3, 4]),
            IpAddr::V6(_) => (10, [5, 6]),
        };
        let protocol = match passed.flow.transport {
            Transport::Udp => 17,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => 6,
        };
        chunk(&mut packet, 1, &[family]);
        chunk(&mut packet, 2, &[protocol]);
        for (kind, ip) in types.into_iter().zip([source.ip(), destination.ip()]) {
            match ip {
                IpAddr::V4(ip) => chunk(&mut packet, kind, &ip.octets()),
                IpAddr::V6(ip) => chunk(&mut packet, kind, &ip.octets()),
            }
        }
        chunk(&mut packet, 7, &source.port().to_be_bytes());
        chunk(&mut packet, 8, &destination.port().to_be_bytes());
        let seconds = u32::try_from(passed.at.as_secs()).unwrap_or(u32::MAX);
        chunk(&mut packet, 9, &seconds.to_be_bytes());
        chunk(&mut packet, 10, &passed.at.subsec_micros().to_be_bytes());
        // The payload is SIP.
        chunk(&mut packet, 11, &[1]);
        chunk(&mut packet, 12, &self.capture_id.to_be_bytes());
        if let Some(correlation) = self.correlation(&passed.octets) {
            chunk(&mut packet, 17, correlation.as_bytes());
        }
        let room = MAX_DATAGRAM - packet.len() - 6;
        chunk(&mut packet, 15, &octets[..octets.len().min(room)]);
        // At most MAX_DATAGRAM.
        let length = packet.len() as u16;
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        packet
    }

    /// What all legs of a call have in common: the call's name; of a dialog without a call its Call-ID.
    fn correlation(&self, octets: &Bytes) -> Option<String> {
        let message = Message::parse(octets.clone()).ok()?;
        let call_id = message.call_id()?;
        Some(
            self.calls
                .get(call_id)
                .map_or(call_id, |call| call)
                .to_owned(),
        )
    }
}

/// A chunk of the generic vendor, 0.
fn chunk(packet: &mut Vec<u8>, kind: u16, value: &[u8]) {
    packet.put_u16(0);
    packet.put_u16(kind);
    packet.put_u16(u16::try_from(6 + value.len()).unwrap_or(u16::MAX));
    packet.put_slice(value);
}

#[cfg(test)]
mod tests;

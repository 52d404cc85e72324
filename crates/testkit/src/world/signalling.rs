//! SIP between the phones and the switch.

use call::Output;
use rsip::SipMessage;
use sip::{Flow, Message, Transport};

use super::{Media, PhoneId, World};
use crate::network::{Delivery, Fate};
use crate::wire;

impl World {
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::ToSwitch(flow, octets) => {
                let message =
                    Message::parse(octets).expect("phones write messages that can be read");
                self.exchange.handle_message(message, flow, self.now);
            }
            Delivery::ToPhone(flow, octets) => {
                if let Some(phone) = self.by_source.get(&flow.remote).copied() {
                    self.phones[phone.0].handle(&octets, self.now);
                    self.collect(phone);
                }
            }
            Delivery::Closed(flow) => {
                self.exchange
                    .handle_flow_closed(flow, "nobody is there", self.now)
            }
        }
    }

    /// Sends what a phone has to say, and notes when it wants to be woken.
    pub(super) fn collect(&mut self, id: PhoneId) {
        while let Some(octets) = self.phones[id.0].poll_transmit() {
            let fate = self.note(id, true, &octets);
            let flow = self.phones[id.0].flow();
            self.network
                .send(Delivery::ToSwitch(flow, octets), fate, self.now);
        }
        let alarm = self.phones[id.0].poll_timeout();
        let old = std::mem::replace(&mut self.alarms[id.0], alarm);
        if old != alarm {
            if let Some(old) = old {
                self.wakes.remove(&(old, id));
            }
            if let Some(alarm) = alarm {
                self.wakes.insert((alarm, id));
            }
        }
    }

    pub(super) fn carry(&mut self, output: Output) {
        match output {
            Output::Transmit { flow, octets } => self.transmit(flow, octets),
            // What is dropped sooner or later is dropped.
            Output::Shut { .. } => {}
            Output::Media { worker, command } => self.command(worker, command),
            Output::Pass { leg, from, to } => self.pass(leg, from, to),
            Output::Dialog { call, call_id } => self.dialogs.push((call, call_id)),
            Output::Proofs(proofs) => self.proofs = proofs,
            Output::LookUp { id, look_up } => self.look_ups.push((id, look_up)),
            Output::QueueLog(entry) => self.queue_log.push(entry),
            Output::CallRecord { call, record } => {
                self.records.push(*record);
                self.unwritten.push(call);
                if !self.disk_is_full {
                    self.write_records();
                }
            }
        }
    }

    /// The disk takes the records that wait for it.
    pub fn write_records(&mut self) {
        for call in std::mem::take(&mut self.unwritten) {
            self.exchange.handle_record_written(call);
        }
    }

    fn transmit(&mut self, flow: Flow, octets: bytes::Bytes) {
        let (delivery, fate) = match (self.by_source.get(&flow.remote).copied(), flow.transport) {
            (Some(phone), _) => {
                let fate = self.note(phone, false, &octets);
                (Delivery::ToPhone(flow, octets), fate)
            }
            // Nobody listens where a connection came from.
            (None, Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss) => {
                (Delivery::Closed(flow), None)
            }
            (None, Transport::Udp) => return,
        };
        self.network.send(delivery, fate, self.now);
    }

    /// Draws a message into the ladder; what a test wants to become of it.
    fn note(&mut self, phone: PhoneId, to_switch: bool, octets: &[u8]) -> Option<Fate> {
        match self.media {
            Media::Mixers(_) => {}
            // The ladder of hours would be as long as the hours.
            Media::Stopwatch(_) => return None,
        }
        let label = label(octets);
        let told = format!("{} {label}", if to_switch { '>' } else { '<' });
        let name = self.phones[phone.0].name.clone();
        self.ladder
            .add(self.now - self.start, &name, to_switch, label);
        let meant = |(of, message, _): &(PhoneId, String, Fate)| *of == phone && *message == told;
        let place = self.fates.iter().position(meant)?;
        Some(self.fates.remove(place).2)
    }

    // --- what a test looks at ------------------------------------------------------------------------------------

    /// The ladder since the last phone was registered.
    #[must_use]
    pub fn ladder(&self) -> String {
        self.ladder.draw()
    }

    /// Forgets the ladder so far.
    pub fn clear_ladder(&mut self) {
        self.ladder.clear();
    }

    /// What a phone sent (`> INVITE 700`) and got (`< 200 (INVITE)`), in order.
    #[must_use]
    pub fn messages(&self, phone: &str) -> Vec<String> {
        self.ladder.labels(phone)
    }
}

/// What ladders call a message.
fn label(octets: &[u8]) -> String {
    let message = wire::read(octets);
    let method = wire::Key::of(&message).method;
    match &message {
        SipMessage::Request(request) if method == "INVITE" => {
            format!("INVITE {}", request.uri.user().unwrap_or_default())
        }
        SipMessage::Request(request) if method == "NOTIFY" => {
            let body = String::from_utf8_lossy(&request.body);
            let states = body.split("<state>").skip(1);
            let states = states.filter_map(|rest| rest.split("</state>").next());
            let states: Vec<&str> = states.collect();
            format!("NOTIFY {}", states.join(", ")).trim().to_owned()
        }
        SipMessage::Request(_) => method,
        SipMessage::Response(response) => {
            format!("{} ({method})", wire::status(&response.status_code))
        }
    }
}

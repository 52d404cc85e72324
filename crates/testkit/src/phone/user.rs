//! What the user of a phone does.

use std::time::Instant;

use super::line::{Giving, Line};
use super::{Offer, Phone, PhoneState, Registering, host};

impl Phone {
    /// Registers for `expires` seconds; 0 takes the binding away.
    pub fn register(&mut self, expires: u32, now: Instant) {
        let transport = self.access.transport.uri_parameter();
        let contact = format!("<sip:{}@{}{transport}>", self.account, self.contact);
        self.begin_registering(contact, expires, now);
    }

    /// Takes all bindings of its account away (RFC 3261 section 10.2.2).
    pub fn unregister_all(&mut self, now: Instant) {
        self.begin_registering("*".to_owned(), 0, now);
    }

    /// Asks for the bindings of its account (RFC 3261 section 10.2.3).
    pub fn ask_for_bindings(&mut self, now: Instant) {
        self.begin_registering(String::new(), 0, now);
    }

    fn begin_registering(&mut self, contact: String, expires: u32, now: Instant) {
        self.last_status = None;
        self.registering = Some(Registering {
            contact,
            expires,
            challenged: false,
        });
        self.send_register(now);
    }

    /// Dials a number.
    pub fn dial(&mut self, number: &str, now: Instant) {
        self.counter += 1;
        self.last_status = None;
        let target = format!("{}:{number}@{}", self.scheme, self.server);
        self.line = Some(Line {
            caller: true,
            call_id: format!("{}-{}", self.name, self.counter),
            local: format!(
                "<sip:{}@{}>;tag={}c{}",
                self.account,
                host(self.server.ip()),
                self.name,
                self.counter
            ),
            remote: format!("<{target}>"),
            remote_target: target,
            offer: if self.late_offer {
                Offer::Late("sendrecv")
            } else {
                Offer::Direction("sendrecv")
            },
            ..Line::new(PhoneState::Dialling, self.codec)
        });
        self.send_invite(now);
    }

    /// Lifts the receiver of the ringing phone.
    ///
    /// # Panics
    /// If it does not ring.
    pub fn answer(&mut self, now: Instant) {
        self.act_at = None;
        let line = self.line.as_mut().expect("a ringing phone has a line");
        assert_eq!(
            line.state,
            PhoneState::Ringing,
            "only a ringing phone can be answered"
        );
        line.state = PhoneState::Talking;
        let invite = line.invite.clone().expect("a ringing phone has an INVITE");
        let codec = line.codec;
        let body = self.description(self.answers, &[codec]);
        self.respond(&invite, 200, &body, now);
    }

    /// Refuses the call that rings.
    pub fn refuse(&mut self, status: u16, now: Instant) {
        self.act_at = None;
        if let Some(invite) = self.line.as_ref().and_then(|line| line.invite.clone()) {
            self.respond(&invite, status, "", now);
        }
        self.line = None;
    }

    /// Hangs up, gives up dialling, or refuses, whichever fits.
    pub fn hang_up(&mut self, now: Instant) {
        match self.state() {
            PhoneState::Idle => {}
            PhoneState::Ringing => self.refuse(603, now),
            PhoneState::Dialling | PhoneState::RingingBack => match &mut self.line {
                // CANCEL waits for the first provisional answer (RFC 3261 section 9.1).
                Some(line) if !line.proceeding => line.giving = Giving::Wanted,
                Some(_) | None => self.cancel(now),
            },
            PhoneState::Talking => {
                self.send_in_dialog("BYE", "", now);
                if let Some(line) = self.line.take() {
                    self.transactions.forget_call(&line.call_id);
                    self.left = Some(line.call_id);
                }
            }
        }
    }

    /// Gives up dialling by a BYE in the early dialog, which a caller may do (RFC 3261 section 15); `hang_up` cancels.
    ///
    /// # Panics
    /// If it hears no ringing.
    pub fn end_early_dialog(&mut self, now: Instant) {
        let line = self.line.as_mut().expect("it dialled");
        assert_eq!(line.state, PhoneState::RingingBack, "no early dialog");
        line.giving = Giving::Over;
        let early = line.early.clone();
        let remote = std::mem::replace(&mut line.remote, early);
        self.send_in_dialog("BYE", "", now);
        if let Some(line) = &mut self.line {
            line.remote = remote;
        }
    }

    /// Puts the call on hold (RFC 3264 section 8.4), or resumes it.
    pub fn hold(&mut self, on: bool, now: Instant) {
        self.reinvite(
            Offer::Direction(if on { "sendonly" } else { "sendrecv" }),
            now,
        );
    }

    /// Presses a key, and tells it by INFO (RFC 6086).
    pub fn tell_key(&mut self, key: char, now: Instant) {
        let kind = ("Content-Type", "application/dtmf-relay".to_owned());
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        self.send_with("INFO", &[kind], &body, now);
    }

    /// Has the other party connected with a number (RFC 3515). `dialog` is another call of the same user, for an attended
    /// transfer (see `dialog`); `headers` as they are to stand in the REFER.
    pub fn refer(
        &mut self,
        number: &str,
        dialog: Option<&str>,
        headers: &[(&'static str, &str)],
        now: Instant,
    ) {
        self.refer_status = None;
        self.reports.clear();
        let replaces = dialog.map_or(String::new(), |dialog| {
            let escaped = dialog.replace('@', "%40");
            let escaped = escaped.replace(';', "%3B").replace('=', "%3D");
            format!("?Replaces={escaped}")
        });
        let to = format!("<sip:{number}@{}{replaces}>", self.server);
        let mut lines = vec![("Refer-To", to)];
        lines.extend(
            headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        self.send_with("REFER", &lines, "", now);
    }

    /// The dialog of its call as Replaces names it to the switch (RFC 3891 section 4).
    #[must_use]
    pub fn dialog(&self) -> Option<String> {
        let line = self.line.as_ref()?;
        let tag = |address: &str| address.split(";tag=").nth(1).unwrap_or("0").to_owned();
        let remote = if line.remote.contains(";tag=") {
            &line.remote
        } else {
            &line.early
        };
        let (theirs, ours) = (tag(remote), tag(&line.local));
        let call_id = &line.call_id;
        Some(format!("{call_id};to-tag={theirs};from-tag={ours}"))
    }

    /// Offers another session, or asks for an offer.
    pub fn reinvite(&mut self, offer: Offer, now: Instant) {
        self.ask_for("INVITE", offer, now);
    }

    /// Offers another session by UPDATE (RFC 3311).
    pub fn update(&mut self, offer: Offer, now: Instant) {
        self.ask_for("UPDATE", offer, now);
    }

    fn ask_for(&mut self, method: &str, offer: Offer, now: Instant) {
        let Some(line) = &mut self.line else { return };
        line.offer = offer;
        let codec = line.codec;
        let body = self.offer(offer, &[codec]);
        self.send_in_dialog(method, &body, now);
    }
}

//! Event packages: what can be subscribed to, and the documents that tell of it (RFC 6665 section 5).

mod dialog_info;
mod reginfo;
mod summary;
mod xml;

use crate::Message;
use crate::header::{Header, Params, is_token};

pub(crate) use dialog_info::dialog_info;
pub use dialog_info::{DialogState, Initiator, WatchedDialog};
pub(crate) use reginfo::reginfo;
pub(crate) use summary::empty_summary;

/// The value of Allow-Events (RFC 6665 section 8.2.2).
pub(crate) const ALLOW_EVENTS: &str = "dialog, message-summary, reg";

/// An event package that we notify of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Package {
    /// The calls of a phone: lamps of desk phones (RFC 4235).
    Dialog,
    /// Messages that wait: none, as there is no voice mail yet (RFC 3842).
    MessageSummary,
    /// The bindings of an account (RFC 3680).
    Registration,
}

impl Package {
    /// The package of an event type; names are case-sensitive (RFC 6665 section 8.4).
    fn named(name: &str) -> Option<Self> {
        match name {
            "dialog" => Some(Self::Dialog),
            "message-summary" => Some(Self::MessageSummary),
            "reg" => Some(Self::Registration),
            _ => None,
        }
    }

    /// Its event type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dialog => "dialog",
            Self::MessageSummary => "message-summary",
            Self::Registration => "reg",
        }
    }

    /// The media type of its documents, which are all in `application`: a subscriber without Accept understands it.
    pub(crate) fn subtype(self) -> &'static str {
        match self {
            Self::Dialog => "dialog-info+xml",
            Self::MessageSummary => "simple-message-summary",
            Self::Registration => "reginfo+xml",
        }
    }

    /// Whether the subscriber understands the documents (RFC 6665 section 4.1.2.1: no Accept means those of the package).
    pub(crate) fn is_accepted(self, request: &Message) -> bool {
        request.header(Header::Accept).is_none() || request.accepts("application", self.subtype())
    }
}

/// The Event of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventValue {
    pub(crate) package: Package,
    /// Tells subscriptions to one package in one dialog apart (RFC 6665 section 8.2.1).
    pub(crate) id: Option<Box<str>>,
}

impl EventValue {
    /// The Event of a request. None for a package that we know nothing of, and for none or several at all.
    pub(crate) fn of(request: &Message) -> Option<Self> {
        let mut values = request.values(Header::Event);
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let end = value.find(';').unwrap_or(value.len());
        let (name, params) = value.split_at(end);
        let params = Params::parse(params).ok()?;
        Some(Self {
            package: Package::named(name.trim_matches([' ', '\t']))?,
            id: params.value("id").filter(|id| is_token(id)).map(Box::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(lines: &str) -> Option<EventValue> {
        let text = format!(
            "SUBSCRIBE sip:201@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\n{lines}\r\n"
        );
        EventValue::of(&Message::parse(text.into()).unwrap())
    }

    #[test]
    fn an_event_has_a_package_and_may_have_an_id() {
        let found = event("o: dialog ; id=7;sla\r\n").unwrap();
        assert_eq!(
            (found.package, found.id.as_deref()),
            (Package::Dialog, Some("7"))
        );
        assert_eq!(event("Event: reg\r\n").unwrap().id, None);
    }

    #[test]
    fn what_is_no_package_of_ours_is_none() {
        for lines in [
            "",
            "Event: presence\r\n",
            "Event: Dialog\r\n",
            "Event: dialog.winfo\r\n",
            "Event: dialog\r\nEvent: reg\r\n",
        ] {
            assert_eq!(event(lines), None, "{lines}");
        }
    }

    #[test]
    fn allow_events_names_every_package() {
        let named: Vec<Package> = ALLOW_EVENTS
            .split(", ")
            .filter_map(Package::named)
            .collect();
        assert_eq!(
            named,
            [
                Package::Dialog,
                Package::MessageSummary,
                Package::Registration
            ]
        );
    }
}

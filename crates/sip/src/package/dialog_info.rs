//! application/dialog-info+xml: the dialogs of a watched phone (RFC 4235 section 4).

use std::fmt::Write as _;

use super::xml::Escaped;
use crate::dialog::{Dialog, HostOf};
use crate::endpoint::LegId;
use crate::identity;
use crate::uri::escape_user;

/// A dialog of a watched phone, seen from that phone.
///
/// Call-ID and tags are optional (section 4.1.2): whoever knows them may take the call over (RFC 3891).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatchedDialog {
    /// Our leg with the phone: names the dialog in every document.
    pub leg: LegId,
    /// Who called.
    pub initiator: Initiator,
    /// How far it is.
    pub state: DialogState,
    /// Whether the phone holds the call.
    pub held: bool,
    /// Whether another phone may take the call over: then its Call-ID and tags are told.
    pub yields: bool,
    /// The user part of the other party; none if it wants to stay anonymous.
    pub remote: Option<String>,
    /// The other party's display name.
    pub remote_display: Option<String>,
}

/// Who began a dialog (section 4.1.2, `direction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The watched phone called.
    Phone,
    /// The watched phone is called.
    Other,
}

/// How far a dialog is (section 3.7.1); ended ones are told once more by the endpoint, as `terminated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialogState {
    /// Nobody rings yet.
    Trying,
    /// The called phone rings.
    Early,
    /// Answered.
    Confirmed,
}

/// The whole document; `legs` are the dialogs as we have them, `gone` those of the last document that are no more.
pub(crate) fn dialog_info<'a>(
    phone: &str,
    host: HostOf,
    version: u32,
    dialogs: &[WatchedDialog],
    legs: impl Fn(LegId) -> Option<&'a Dialog>,
    gone: &[LegId],
) -> String {
    let user = escape_user(phone);
    let phone = Phone {
        uri: &format!("sip:{}@{host}", Escaped(&user)),
        host,
    };
    // Section 4.1.1: version counts the documents of a subscription from 0; state full: what is not in it is no more.
    let mut text = format!(
        "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
         state=\"full\" entity=\"{}\">\r\n",
        phone.uri
    );
    for dialog in dialogs {
        let yields = legs(dialog.leg).filter(|_| dialog.yields);
        phone.write(dialog, yields, &mut text);
    }
    for leg in gone {
        let id = leg.0;
        append(
            &mut text,
            format_args!("<dialog id=\"{id}\"><state>terminated</state></dialog>\r\n"),
        );
    }
    text + "</dialog-info>\r\n"
}

/// The watched phone.
struct Phone<'a> {
    uri: &'a str,
    host: HostOf,
}

impl Phone<'_> {
    fn write(&self, dialog: &WatchedDialog, yields: Option<&Dialog>, text: &mut String) {
        let id = dialog.leg.0;
        let direction = match dialog.initiator {
            Initiator::Phone => "initiator",
            Initiator::Other => "recipient",
        };
        let state = match dialog.state {
            DialogState::Trying => "trying",
            DialogState::Early => "early",
            DialogState::Confirmed => "confirmed",
        };
        append(text, format_args!("<dialog id=\"{id}\""));
        if let Some(ours) = yields {
            // Seen from the phone: the remote tag is ours. Before it answers its own may still change, and is told as none
            // (RFC 3891 section 3).
            append(
                text,
                format_args!(
                    " call-id=\"{}\" local-tag=\"{}\" remote-tag=\"{}\"",
                    Escaped(&ours.call_id),
                    Escaped(ours.remote_tag()),
                    ours.local_tag.as_str()
                ),
            );
        }
        append(
            text,
            format_args!(
                " direction=\"{direction}\"><state>{state}</state><local><identity>{0}</identity>\
                 <target uri=\"{0}\">",
                self.uri
            ),
        );
        if dialog.held {
            // Section 5.2: it plays nothing to its user.
            text.push_str("<param pname=\"+sip.rendering\" pvalue=\"no\"/>");
        }
        text.push_str("</target></local><remote><identity");
        let (display, uri) = match &dialog.remote {
            Some(user) => (
                dialog.remote_display.as_deref(),
                format!("sip:{}@{}", escape_user(user), self.host),
            ),
            None => (
                Some(identity::ANONYMOUS_NAME),
                identity::ANONYMOUS_URI.to_owned(),
            ),
        };
        if let Some(display) = display {
            append(text, format_args!(" display=\"{}\"", Escaped(display)));
        }
        append(
            text,
            format_args!(
                ">{0}</identity><target uri=\"{0}\"/></remote></dialog>\r\n",
                Escaped(&uri)
            ),
        );
    }
}

fn append(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more)
        .expect("invariant: writing into a string cannot fail");
}

//! A request of the test phone, and how it is written.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::header::Header;
use sip::message::{Method, Writer};

/// What a request of the phone says.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method<'static>,
    pub(super) uri: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) branch: String,
    pub(super) expires: Option<u32>,
    pub(super) body: Option<Bytes>,
    pub(super) authorization: Option<(Header, String)>,
}

impl Request {
    /// The octets, as the phone of this account at this address sends them.
    pub(super) fn write(&self, account: &str, local: SocketAddr) -> Bytes {
        let mut writer = Writer::request(self.method, &self.uri);
        writer.header(
            Header::Via,
            format_args!("SIP/2.0/UDP {local};branch={};rport", self.branch),
        );
        writer.header(Header::MaxForwards, 70);
        writer.header(Header::From, &self.from);
        writer.header(Header::To, &self.to);
        writer.header(Header::CallId, &self.call_id);
        writer.header(Header::CSeq, format_args!("{} {}", self.cseq, self.method));
        writer.header(Header::Contact, format_args!("<sip:{account}@{local}>"));
        writer.header(Header::UserAgent, "Ringmaster demo phone");
        if let Some(expires) = self.expires {
            writer.header(Header::Expires, expires);
        }
        if let Some((header, value)) = &self.authorization {
            writer.header(*header, value);
        }
        writer.finish(
            self.body
                .as_ref()
                .map(|body| ("application/sdp", &body[..])),
        )
    }
}

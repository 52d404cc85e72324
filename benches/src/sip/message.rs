//! Writing SIP messages.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::text::Text;
use crate::srtp::Key;

/// What our descriptions call Opus.
pub(crate) const OPUS_PAYLOAD_TYPE: u8 = 111;

/// What a phone asks for: far longer than any run.
const EXPIRES: u32 = 3600;

/// A request of ours, to be written again with credentials when it is challenged.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) body: String,
}

impl Request {
    /// The whole request; `contact` and `credentials` are header lines.
    pub(crate) fn write(
        &self,
        local: SocketAddr,
        branch: &str,
        contact: &str,
        credentials: &str,
    ) -> String {
        let Self {
            method,
            uri,
            from,
            to,
            call_id,
            cseq,
            body,
        } = self;
        let mut text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch={branch}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{credentials}User-Agent: ringmaster-bench\r\n"
        );
        let _ = match *method {
            // As much as desk phones say: an answer over UDP is at most a fifth longer than its request.
            "REGISTER" => write!(
                text,
                "{contact}Expires: {EXPIRES}\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, INFO, UPDATE, MESSAGE, SUBSCRIBE\r\n"
            ),
            "INVITE" => write!(
                text,
                "{contact}Content-Type: application/sdp\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
            ),
            _ => Ok(()),
        };
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
        text
    }
}

/// The header lines that a response repeats (RFC 3261 section 8.2.6.2); `tag` is added to To.
pub(crate) fn repeated(text: &Text<'_>, tag: &str) -> String {
    let mut lines: String = text
        .lines("Via", "v")
        .map(|via| format!("Via: {via}\r\n"))
        .collect();
    for (name, compact, more) in [
        ("From", "f", ""),
        ("To", "t", tag),
        ("Call-ID", "i", ""),
        ("CSeq", "CSeq", ""),
    ] {
        lines.push_str(&format!(
            "{name}: {}{more}\r\n",
            text.header(name, compact).unwrap_or_default()
        ));
    }
    lines
}

pub(crate) fn response(status: &str, repeated: &str, contact: &str, body: &str) -> String {
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "SIP/2.0 {status}\r\n{repeated}{contact}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The ACK of an INVITE: with the INVITE's branch and URI after a refusal (section 17.1.1.3), with its own after a 2xx (13.2.2.4).
pub(crate) fn acknowledgement(
    invite: &Request,
    branch: &str,
    local: SocketAddr,
    to: &str,
    uri: &str,
) -> String {
    let Request {
        from,
        call_id,
        cseq,
        ..
    } = invite;
    format!(
        "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch={branch}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
         Call-ID: {call_id}\r\nCSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n"
    )
}

/// What a phone speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As desk phones do.
    #[default]
    Pcmu,
    /// Opus alone.
    Opus,
}

/// 20 ms packets and telephone-event, as desk phones offer them; encrypted, where a key is given with the tag of its line.
pub(crate) fn description(media: SocketAddr, codec: Codec, key: Option<(u32, &Key)>) -> String {
    let (address, port) = (media.ip(), media.port());
    let (format, clock, map) = match codec {
        Codec::Pcmu => (0, 8_000, "PCMU/8000"),
        Codec::Opus => (OPUS_PAYLOAD_TYPE, 48_000, "opus/48000/2"),
    };
    let (profile, crypto) = match key {
        None => ("AVP", String::new()),
        Some((tag, key)) => ("SAVP", key.line(tag)),
    };
    format!(
        "v=0\r\no=- {port} 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/{profile} {format} 101\r\n\
         a=rtpmap:{format} {map}\r\na=rtpmap:101 telephone-event/{clock}\r\na=fmtp:101 0-16\r\n{crypto}a=ptime:20\r\na=sendrecv\r\n"
    )
}

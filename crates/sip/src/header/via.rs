//! Via: the way of a request, and so of its responses.

use std::net::{IpAddr, SocketAddr};

use super::{Malformed, Params};
use crate::grammar::{Class, Scanner};
use crate::uri::Host;

/// The port of SIP over UDP and TCP when none is given (RFC 3261 section 18.2.2).
const DEFAULT_PORT: u16 = 5060;

/// One Via value (RFC 3261 section 20.42).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// Everything before the parameters, as it came: `SIP/2.0/UDP 192.0.2.1:5060`.
    pub sent: &'a str,
    /// `UDP`, `TCP`, `TLS`, or one that nobody knows.
    pub transport: &'a str,
    /// The host of sent-by.
    pub host: Host<'a>,
    /// The port of sent-by, if given.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one Via value; a list is split by `items` before. White space may stand around slashes and the colon.
    ///
    /// # Errors
    /// `Malformed` for another protocol than SIP, a bad host or port, or bad parameters.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let start = scanner.at();
        // The version of the message is that of its start line; a Via of another one can still be answered.
        let name = part(&mut scanner)?;
        let version = part(&mut scanner)?;
        let transport = scanner.take(Class::TOKEN);
        let ends = scanner.octet().is_some_and(|octet| Class::SPACE.has(octet));
        if !name.eq_ignore_ascii_case("SIP") || version.is_empty() || transport.is_empty() || !ends
        {
            return Err(Malformed);
        }
        scanner.skip_space();
        let (host, port) = Host::scan_with_port(&mut scanner)?;
        let sent = scanner.trimmed_since(start);
        Ok(Self {
            sent,
            transport,
            host,
            port,
            params: Params::scan(scanner)?,
        })
    }

    /// The branch, empty ones left out.
    #[must_use]
    pub fn branch(&self) -> Option<&'a str> {
        self.params
            .value("branch")
            .filter(|branch| !branch.is_empty())
    }

    /// The `received` parameter, with or without brackets around IPv6 (RFC 5118 section 4.5).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.params.value("received")?;
        let bare = value
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(value);
        bare.parse().ok()
    }

    /// Whether there is an `rport` parameter, with or without a value (RFC 3581 section 4).
    #[must_use]
    pub fn asks_rport(&self) -> bool {
        self.params.get("rport").is_some()
    }

    /// The port in `rport`, if there is one.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.value("rport")?.parse().ok()
    }

    /// Where the response to a UDP request goes that came from `source` with this topmost Via
    /// (RFC 3261 section 18.2.2, RFC 3581 section 4).
    ///
    /// `maddr` is not obeyed: it is for multicast, and else would aim our answers at a third party.
    #[must_use]
    pub fn response_address(&self, source: SocketAddr) -> SocketAddr {
        if self.asks_rport() {
            return source;
        }
        SocketAddr::new(source.ip(), self.port.unwrap_or(DEFAULT_PORT))
    }

    /// Whether sent-by names exactly this address, so that `received` adds nothing (RFC 3261 section 18.2.1).
    pub(crate) fn is_sent_by(&self, source: IpAddr) -> bool {
        match self.host {
            Host::V4(host) => IpAddr::V4(host) == source,
            Host::V6(host) => IpAddr::V6(host) == source,
            Host::Name(_) => false,
        }
    }
}

/// A part of the protocol and the slash behind it.
#[inline]
fn part<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, Malformed> {
    let part = scanner.take(Class::TOKEN);
    scanner.skip_space();
    if !scanner.eat(b'/') {
        return Err(Malformed);
    }
    scanner.skip_space();
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_may_stand_around_every_separator() {
        let via = Via::parse(
            "SIP  / 2.0  / TCP     spindle.example.com : 5070  ;  branch  =   z9hG4bK9ikj8",
        )
        .unwrap();
        assert_eq!(
            (via.transport, via.host, via.port),
            ("TCP", Host::Name("spindle.example.com"), Some(5070))
        );
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
    }

    #[test]
    fn received_is_read_with_and_without_brackets() {
        for text in ["[2001:db8::9:255]", "2001:db8::9:255"] {
            let text = format!("SIP/2.0/UDP [2001:db8::9:1];received={text};branch=z9hG4bKas3");
            assert_eq!(
                Via::parse(&text).unwrap().received(),
                Some("2001:db8::9:255".parse().unwrap())
            );
        }
    }

    #[test]
    fn broken_vias_are_malformed() {
        for text in [
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "HTTP/2.0/UDP c.example.com;branch=z9hG4bKkdjuw",
            "SIP/2.0/UDP",
            "SIP/2.0 192.0.2.1",
            "SIP/2.0/UDP 192.0.2.1:port",
            "SIP/2.0/UDP 192.0.2.1 x",
            "",
        ] {
            assert_eq!(Via::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn responses_go_to_the_source_port_only_when_rport_asks() {
        let source = "192.0.2.9:40000".parse().unwrap();
        let without = Via::parse("SIP/2.0/UDP host.example.com:5080;maddr=224.2.0.1").unwrap();
        assert_eq!(
            without.response_address(source),
            "192.0.2.9:5080".parse().unwrap()
        );
        let with = Via::parse("SIP/2.0/UDP host.example.com:5080;rport").unwrap();
        assert_eq!(with.response_address(source), source);
        assert_eq!(with.rport(), None);
    }
}

//! URIs: sip, sips, tel and any other (RFC 3261 section 19.1, RFC 3966).

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::grammar::{Class, Scanner};
use crate::header::{Malformed, Param, Params};

/// Octets of the longest URI that we take; a longer Request-URI gets 414 (RFC 3261 section 21.4.12), elsewhere it is malformed.
/// Real ones stay below 300; the RFC 4475 message with long values below 600.
pub const MAX_URI: usize = 2048;
/// Parameters or headers of a URI up to which each is compared with each; above it URIs compare as text, so that no peer
/// makes a comparison slow. Real ones have fewer than 10.
const MAX_COMPARED: usize = 32;

/// A URI, read as far as its scheme is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uri<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:` (RFC 3966).
    Tel(TelUri<'a>),
    /// Any other scheme.
    Other(OtherUri<'a>),
}

/// A SIP or SIPS URI (RFC 3261 section 19.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipUri<'a> {
    text: &'a str,
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// The user part as it came, escapes included.
    pub user: Option<&'a str>,
    /// The password as it came.
    pub password: Option<&'a str>,
    /// The host.
    pub host: Host<'a>,
    /// The port, if given.
    pub port: Option<u16>,
    /// The parameters of the URI.
    pub params: Params<'a>,
    /// What follows `?`, as it came.
    pub headers: Option<&'a str>,
}

/// A tel URI (RFC 3966).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelUri<'a> {
    text: &'a str,
    /// The number as it came, visual separators included.
    pub number: &'a str,
    /// Parameters.
    pub params: Params<'a>,
}

/// A URI of a scheme that we do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherUri<'a> {
    text: &'a str,
    /// The scheme as it came.
    pub scheme: &'a str,
}

/// The host of a URI or of sent-by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 reference, without its brackets.
    V6(Ipv6Addr),
    /// A host name.
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host and its optional port: `example.com:5060`, `[2001:db8::1]`; white space may stand around the colon.
    #[inline]
    pub(crate) fn scan_with_port(
        scanner: &mut Scanner<'a>,
    ) -> Result<(Self, Option<u16>), Malformed> {
        let host = Self::scan(scanner)?;
        scanner.skip_space();
        if !scanner.eat(b':') {
            return Ok((host, None));
        }
        scanner.skip_space();
        let port = scanner.take_number().ok_or(Malformed)?;
        let port = u16::try_from(port).map_err(|_| Malformed)?;
        Ok((host, Some(port)))
    }

    #[inline]
    fn scan(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        if scanner.eat(b'[') {
            let start = scanner.at();
            scanner.go_to(scanner.position([b']']));
            let address = ipv6_reference(scanner.since(start))?;
            return scanner
                .eat(b']')
                .then_some(Self::V6(address))
                .ok_or(Malformed);
        }
        let mut ahead = *scanner;
        if let Some(address) = scan_ipv4(&mut ahead) {
            *scanner = ahead;
            return Ok(Self::V4(address));
        }
        match scanner.take(Class::HOST) {
            "" => Err(Malformed),
            name => Ok(Self::Name(name)),
        }
    }

    /// The address, if the host is no name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(ip) => Some(IpAddr::V4(*ip)),
            Self::V6(ip) => Some(IpAddr::V6(*ip)),
            Self::Name(_) => None,
        }
    }

    /// Host names compare in any case (RFC 3261 section 19.1.4).
    pub(crate) fn equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            (Self::Name(_) | Self::V4(_) | Self::V6(_), _) => false,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => ip.fmt(f),
            Self::V6(ip) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl<'a> Uri<'a> {
    /// Reads a URI.
    ///
    /// # Errors
    /// `Malformed` for more than `MAX_URI` octets, white space, quotes or angle brackets in it, no scheme, or a SIP URI with
    /// a bad user, host or port.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        let uri = Self::scan(&mut scanner)?;
        if scanner.is_done() {
            Ok(uri)
        } else {
            Err(Malformed)
        }
    }

    /// Reads a URI up to the first octet that no URI holds.
    #[inline]
    pub(crate) fn scan(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        let (start, end) = (scanner.at(), scanner.uri_end());
        if end - start > MAX_URI {
            return Err(Malformed);
        }
        let inside = scanner.up_to(end);
        scanner.go_to(end);
        Self::scan_all(inside, scanner.since(start))
    }

    /// Reads the whole text, whose octets a URI may hold.
    #[inline]
    fn scan_all(mut scanner: Scanner<'a>, text: &'a str) -> Result<Self, Malformed> {
        let scheme = scanner.take(Class::SCHEME);
        if !scanner.eat(b':') || scanner.is_done() {
            return Err(Malformed);
        }
        let secure = scheme.eq_ignore_ascii_case("sips");
        if secure || scheme.eq_ignore_ascii_case("sip") {
            SipUri::scan(scanner, text, secure).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            let start = scanner.at();
            scanner.go_to(scanner.position([b';']));
            Ok(Self::Tel(TelUri {
                text,
                number: scanner.since(start),
                params: Params::scan(scanner)?,
            }))
        } else if scheme.starts_with(|first: char| first.is_ascii_alphabetic()) {
            Ok(Self::Other(OtherUri { text, scheme }))
        } else {
            Err(Malformed)
        }
    }

    /// The URI as it came.
    #[must_use]
    pub fn text(&self) -> &'a str {
        match self {
            Self::Sip(uri) => uri.text,
            Self::Tel(uri) => uri.text,
            Self::Other(uri) => uri.text,
        }
    }

    /// The SIP or SIPS URI, if it is one.
    #[must_use]
    pub fn sip(&self) -> Option<&SipUri<'a>> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Tel(_) | Self::Other(_) => None,
        }
    }

    /// What was dialled: the unescaped user of a SIP URI, the number of a tel URI.
    #[must_use]
    pub fn user(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Sip(uri) => uri.user.map(unescape),
            Self::Tel(uri) => Some(Cow::Borrowed(uri.number)),
            Self::Other(_) => None,
        }
    }

    /// Whether two URIs name the same (RFC 3261 section 19.1.4; other schemes compare as text).
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.equivalent(b),
            (Self::Tel(_) | Self::Other(_) | Self::Sip(_), _) => self.text() == other.text(),
        }
    }
}

impl<'a> SipUri<'a> {
    /// Reads what follows the scheme.
    #[inline]
    fn scan(mut scanner: Scanner<'a>, text: &'a str, secure: bool) -> Result<Self, Malformed> {
        // The user part may hold ';' and '?', so '@' is looked for first; it may not hold '@' (RFC 3261 section 25.1).
        let (mut user, mut password) = (None, None);
        let start = scanner.at();
        let mut ahead = scanner;
        ahead.go_to(ahead.position([b'@', b':']));
        let name = ahead;
        if ahead.octet() == Some(b':') {
            ahead.go_to(ahead.position([b'@']));
        }
        if !ahead.is_done() {
            if name.at() == start {
                return Err(Malformed);
            }
            user = Some(name.since(start));
            password = (name.at() < ahead.at()).then(|| ahead.since(name.at() + 1));
            ahead.eat(b'@');
            scanner = ahead;
        }
        let (host, port) = Host::scan_with_port(&mut scanner)?;
        let (mut params, mut headers) = (Params::default(), None);
        if !scanner.is_done() {
            let params_end = scanner.position([b'?']);
            params = Params::scan(scanner.up_to(params_end))?;
            scanner.go_to(params_end);
            headers = scanner.eat(b'?').then(|| scanner.rest());
        }
        Ok(Self {
            text,
            secure,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    /// The URI as it came.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// A parameter of the URI; its name is compared in any case and with escapes resolved (RFC 3261 section 19.1.4).
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Param<'a>> {
        self.params
            .iter()
            .find(|param| same_text(param.name, name, false))
    }

    /// Whether the URI names a loose router (RFC 3261 section 19.1.1, `lr`).
    #[must_use]
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// RFC 3261 section 19.1.4.
    fn equivalent(&self, other: &Self) -> bool {
        if self.is_overlong() || other.is_overlong() {
            return self.text == other.text;
        }
        self.secure == other.secure
            && same_optional(self.user, other.user, true)
            && same_optional(self.password, other.password, true)
            && self.host.equivalent(&other.host)
            && self.port == other.port
            && self.params_match(other)
            && other.params_match(self)
            && same_headers(self.headers, other.headers)
    }

    /// Whether the parts that compare each with each are too many.
    fn is_overlong(&self) -> bool {
        let headers = self.headers.unwrap_or_default().split('&').count();
        headers > MAX_COMPARED || self.params.iter().count() > MAX_COMPARED
    }

    /// Parameters in both must match; these five may not be in one alone (RFC 3261 section 19.1.4). One that stands twice,
    /// which is wrong (section 19.1.1), matches if the other has each of its values: what is the same text is always the same.
    fn params_match(&self, other: &Self) -> bool {
        self.params.iter().all(|ours| {
            let mut named = other
                .params
                .iter()
                .filter(|param| same_text(param.name, ours.name, false))
                .peekable();
            if named.peek().is_none() {
                return !["user", "ttl", "method", "maddr", "transport"]
                    .iter()
                    .any(|name| same_text(ours.name, name, false));
            }
            named.any(|theirs| same_optional(ours.raw, theirs.raw, false))
        })
    }
}

/// Reads an IPv4 address; none if it would go on with the host. As the standard library, which takes longer, it takes four numbers
/// up to 255 without leading zeros.
#[inline]
fn scan_ipv4(scanner: &mut Scanner<'_>) -> Option<Ipv4Addr> {
    let mut address = [0; 4];
    for (index, part) in address.iter_mut().enumerate() {
        if index > 0 && !scanner.eat(b'.') {
            return None;
        }
        *part = scan_part(scanner)?;
    }
    let goes_on = scanner.octet().is_some_and(|octet| Class::HOST.has(octet));
    (!goes_on).then(|| address.into())
}

/// Reads up to three digits. What follows is no digit in an address: the caller looks.
#[inline]
fn scan_part(scanner: &mut Scanner<'_>) -> Option<u8> {
    let first = scanner.take_digit()?;
    if first == 0 {
        return Some(0);
    }
    let Some(second) = scanner.take_digit() else {
        return Some(first);
    };
    let two = first * 10 + second;
    match scanner.take_digit() {
        Some(third) => two.checked_mul(10)?.checked_add(third),
        None => Some(two),
    }
}

/// An IPv6 address, also with the three colons that the grammar of RFC 3261 wrongly makes (RFC 5118 section 4.10).
fn ipv6_reference(text: &str) -> Result<Ipv6Addr, Malformed> {
    match text.split_once(":::") {
        None => text.parse().map_err(|_| Malformed),
        Some((before, after)) => format!("{before}::{after}").parse().map_err(|_| Malformed),
    }
}

/// Resolves `%HH` once (RFC 3261 section 19.1.2); octets that are not UTF-8 become U+FFFD; copies only when there are escapes.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let octets: Vec<u8> = unescaped_octets(text).map(|(octet, _)| octet).collect();
    Cow::Owned(String::from_utf8_lossy(&octets).into_owned())
}

/// Escapes a text so that it can stand as the user part of a SIP URI (RFC 3261 section 25.1).
#[must_use]
pub fn escape_user(user: &str) -> Cow<'_, str> {
    let stays = |octet: u8| {
        octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
            )
            || matches!(octet, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
    };
    if user.bytes().all(stays) {
        return Cow::Borrowed(user);
    }
    let mut escaped = String::with_capacity(user.len() + 8);
    for octet in user.bytes() {
        if stays(octet) {
            escaped.push(char::from(octet));
        } else {
            write!(escaped, "%{octet:02X}").expect("invariant: writing to a String cannot fail");
        }
    }
    Cow::Owned(escaped)
}

/// The octets of a text with `%HH` resolved; the flag tells which ones were escaped.
fn unescaped_octets(text: &str) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = after;
            return Some((high * 16 + low, true));
        }
        rest = tail;
        Some((first, false))
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| value.try_into().ok())
}

/// Whether an escaped octet differs from the same octet unescaped: reserved characters (RFC 3261 sections 19.1.4 and 25.1).
const fn is_reserved(octet: u8) -> bool {
    matches!(
        octet,
        b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b','
    )
}

/// Compares with escapes resolved where they make no difference (RFC 3261 section 19.1.4).
fn same_text(a: &str, b: &str, case_matters: bool) -> bool {
    let normal = |(octet, escaped): (u8, bool)| {
        let octet = if case_matters {
            octet
        } else {
            octet.to_ascii_lowercase()
        };
        (octet, escaped && is_reserved(octet))
    };
    unescaped_octets(a)
        .map(normal)
        .eq(unescaped_octets(b).map(normal))
}

fn same_optional(a: Option<&str>, b: Option<&str>, case_matters: bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_text(a, b, case_matters),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Headers are never ignored, and their order does not matter (RFC 3261 section 19.1.4).
fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let contains = |list: &str, wanted: &str| {
        list.split('&')
            .any(|header| same_text(header, wanted, false))
    };
    a.split('&').count() == b.split('&').count() && a.split('&').all(|header| contains(b, header))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(text: &str) -> SipUri<'_> {
        *Uri::parse(text).unwrap().sip().unwrap()
    }

    #[test]
    fn the_user_part_may_hold_semicolons_and_question_marks() {
        let uri = sip("sip:user;par=u%40example.net@example.com");
        assert_eq!(uri.user, Some("user;par=u%40example.net"));
        assert_eq!(Uri::Sip(uri).user().unwrap(), "user;par=u@example.net");
        let odd = sip(
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
        );
        assert_eq!(
            odd.user,
            Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
        );
        assert_eq!(
            odd.password,
            Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
        );
    }

    #[test]
    fn an_ipv4_address_is_what_the_standard_library_takes_for_one() {
        let parts = ["0", "7", "00", "07", "70", "255", "256", "1000", "a", ""];
        let choose = |seed: usize, digit: u32| parts[seed / parts.len().pow(digit) % parts.len()];
        for seed in 0..parts.len().pow(4) {
            let four = [0, 1, 2, 3].map(|digit| choose(seed, digit)).join(".");
            let five = format!("{four}.1");
            for text in [
                &four,
                &five,
                four.get(1..).unwrap_or_default(),
                four.trim_end_matches('.'),
            ] {
                let mut scanner = Scanner::new(text);
                let ours = scan_ipv4(&mut scanner).filter(|_| scanner.is_done());
                assert_eq!(ours, text.parse().ok(), "{text}");
            }
        }
    }

    #[test]
    fn ipv6_references_keep_their_port_apart() {
        assert_eq!(sip("sip:[2001:db8::10:5070]").port, None);
        assert_eq!(sip("sip:[2001:db8::10]:5070").port, Some(5070));
        assert_eq!(
            sip("sip:user@[2001:db8:::192.0.2.1]").host,
            sip("sip:user@[2001:db8::192.0.2.1]").host
        );
    }

    #[test]
    fn escapes_are_resolved_once() {
        assert_eq!(unescape("value%25%34%31"), "value%41");
        assert_eq!(unescape("null-%00-null"), "null-\0-null");
        assert_eq!(unescape("%Z%45%"), "%ZE%");
        assert_eq!(escape_user("a b@c%"), "a%20b%40c%25");
        assert!(sip("sip:host;%6C%72").is_loose_router());
    }

    #[test]
    fn broken_uris_are_malformed() {
        for text in [
            "sip:2001:db8::10",
            "sip:user@example.com; lr",
            "<sip:user@example.com>",
            "sip:",
            "sip:@example.com",
            "sip:a@b@c",
            "sip:a@b:99999",
            "sip:a@[::1",
            "sip:a@b;;x",
            "example.com",
            "9a:b",
            "",
        ] {
            assert_eq!(Uri::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn other_schemes_are_kept() {
        assert!(matches!(
            Uri::parse("soap.beep://192.0.2.103:3002"),
            Ok(Uri::Other(OtherUri {
                scheme: "soap.beep",
                ..
            }))
        ));
        assert_eq!(
            Uri::parse("tel:+1-201-555-0123;phone-context=x")
                .unwrap()
                .user()
                .unwrap(),
            "+1-201-555-0123"
        );
    }

    #[test]
    fn uris_with_too_many_parts_compare_as_text() {
        let many = format!("sip:a@b{}", ";x=y".repeat(MAX_COMPARED + 1));
        let uri = Uri::parse(&many).unwrap();
        assert!(uri.equivalent(&uri));
        let capital = many.replace(";x", ";X");
        assert!(!uri.equivalent(&Uri::parse(&capital).unwrap()));
        assert_eq!(
            Uri::parse(&format!("sip:{}", "a".repeat(MAX_URI))),
            Err(Malformed)
        );
    }

    /// The examples of RFC 3261 section 19.1.4.
    #[test]
    fn uris_compare_as_the_rfc_shows() {
        let same = |a, b| Uri::parse(a).unwrap().equivalent(&Uri::parse(b).unwrap());
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;newparam=5",
            ),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:bob@biloxi.com",
                "sip:bob@biloxi.com:6000;transport=tcp",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:a%3Bb@c", "sip:a;b@c"),
            ("sip:%00@host5.example.com", "sip:%00%00@host5.example.com"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_uri_equals_itself_also_with_a_parameter_twice() {
        let twice = Uri::parse("sip:201@x;a=1;a=2;transport=udp").unwrap();
        assert!(twice.equivalent(&twice));
        let other = Uri::parse("sip:201@x;transport=udp;a=2;a=1").unwrap();
        assert!(twice.equivalent(&other));
        let once = Uri::parse("sip:201@x;a=1;transport=udp").unwrap();
        assert!(!twice.equivalent(&once) && !once.equivalent(&twice));
    }
}

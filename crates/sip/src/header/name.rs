//! The names of header fields.

/// Lists every known name once: the enum, its text and the bucket table come from the same lines.
macro_rules! headers {
    ($($variant:ident = $text:literal,)*) => {
        /// A header field name that we know (RFC 3261 section 20 and its extensions).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Header {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// Any other name; its values are reached by `Message::other`.
            Other,
        }

        const KNOWN: &[(Header, &str)] = &[$((Header::$variant, $text),)*];

        /// How a line of each begins, the end of the line before included.
        const LINES: &[&str] = &[$(concat!("\r\n", $text, ": "),)*];
    };
}

headers! {
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallId = "Call-ID",
    CallInfo = "Call-Info",
    Contact = "Contact",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding",
    ContentLanguage = "Content-Language",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    CSeq = "CSeq",
    Date = "Date",
    Diversion = "Diversion",
    Event = "Event",
    Expires = "Expires",
    From = "From",
    InfoPackage = "Info-Package",
    MaxBreadth = "Max-Breadth",
    MaxForwards = "Max-Forwards",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAssertedIdentity = "P-Asserted-Identity",
    Path = "Path",
    PPreferredIdentity = "P-Preferred-Identity",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    Reason = "Reason",
    RecordRoute = "Record-Route",
    RecvInfo = "Recv-Info",
    ReferredBy = "Referred-By",
    ReferSub = "Refer-Sub",
    ReferTo = "Refer-To",
    Replaces = "Replaces",
    Require = "Require",
    RetryAfter = "Retry-After",
    Route = "Route",
    RSeq = "RSeq",
    Server = "Server",
    SessionExpires = "Session-Expires",
    Subject = "Subject",
    SubscriptionState = "Subscription-State",
    Supported = "Supported",
    Timestamp = "Timestamp",
    To = "To",
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    Via = "Via",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
}

const _: () = assert!(KNOWN.len() < 64, "a set of header fields has 64 bits");

/// Slots of the look-up table: about four for each name, so that factors are found at once.
const SLOTS: usize = 256;

/// What the first letter and the length count in a name's slot; the last letter counts once. No two names share one.
const FACTORS: (u8, u8) = factors();

/// The place in `KNOWN` of the name of each slot; 255 is a slot without a name.
const BY_SLOT: [u8; SLOTS] = by_slot();

const EMPTY: u8 = u8::MAX;

/// Where a name stands, in any case (bit 5 of a letter is its case).
const fn slot(name: &[u8], (first, length): (u8, u8)) -> usize {
    let start = (name[0] | 0x20).wrapping_mul(first);
    let length = (name.len() as u8).wrapping_mul(length);
    start
        .wrapping_add(length)
        .wrapping_add(name[name.len() - 1] | 0x20) as usize
}

const fn factors() -> (u8, u8) {
    let (mut first, mut length) = (1, 1);
    while !are_apart((first, length)) {
        assert!(first < u8::MAX, "no two factors tell all names apart");
        (first, length) = if length == u8::MAX {
            (first + 1, 1)
        } else {
            (first, length + 1)
        };
    }
    (first, length)
}

const fn are_apart(factors: (u8, u8)) -> bool {
    let mut taken = [false; SLOTS];
    let mut i = 0;
    while i < KNOWN.len() {
        let slot = slot(KNOWN[i].1.as_bytes(), factors);
        if taken[slot] {
            return false;
        }
        taken[slot] = true;
        i += 1;
    }
    true
}

const fn by_slot() -> [u8; SLOTS] {
    let mut slots = [EMPTY; SLOTS];
    let mut i = 0;
    while i < KNOWN.len() {
        slots[slot(KNOWN[i].1.as_bytes(), FACTORS)] = i as u8;
        i += 1;
    }
    slots
}

impl Header {
    /// The header of a name as it came, in any case, long or compact (RFC 3261 section 7.3.3).
    #[must_use]
    pub fn from_name(name: &[u8]) -> Self {
        if let [letter] = name {
            return Self::from_compact(letter.to_ascii_lowercase());
        }
        if name.is_empty() {
            return Self::Other;
        }
        match KNOWN.get(usize::from(BY_SLOT[slot(name, FACTORS)])) {
            // Most names come in the usual case.
            Some((header, text))
                if text.as_bytes() == name || text.as_bytes().eq_ignore_ascii_case(name) =>
            {
                *header
            }
            Some(_) | None => Self::Other,
        }
    }

    /// Compact forms: RFC 3261 section 20, RFC 6665, RFC 3515, RFC 3892, RFC 4028.
    const fn from_compact(letter: u8) -> Self {
        match letter {
            b'b' => Self::ReferredBy,
            b'c' => Self::ContentType,
            b'e' => Self::ContentEncoding,
            b'f' => Self::From,
            b'i' => Self::CallId,
            b'k' => Self::Supported,
            b'l' => Self::ContentLength,
            b'm' => Self::Contact,
            b'o' => Self::Event,
            b'r' => Self::ReferTo,
            b's' => Self::Subject,
            b't' => Self::To,
            b'u' => Self::AllowEvents,
            b'v' => Self::Via,
            b'x' => Self::SessionExpires,
            _ => Self::Other,
        }
    }

    /// A bit of its own in a set of header fields.
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// The end of the line before, our long name, the colon and a space; nothing for `Other`.
    pub(crate) fn line(self) -> &'static str {
        LINES.get(self as usize).copied().unwrap_or_default()
    }

    /// The long name as we write it; empty for `Other`.
    #[must_use]
    pub fn name(self) -> &'static str {
        KNOWN.get(self as usize).map_or("", |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (header, text) in KNOWN {
            assert_eq!(Header::from_name(text.as_bytes()), *header);
            assert_eq!(Header::from_name(text.to_uppercase().as_bytes()), *header);
            assert_eq!(header.name(), *text);
            assert_eq!(header.line(), format!("\r\n{text}: "));
        }
    }

    #[test]
    fn compact_names_are_their_long_names() {
        assert_eq!(Header::from_name(b"V"), Header::Via);
        assert_eq!(Header::from_name(b"m"), Header::Contact);
        assert_eq!(Header::from_name(b"z"), Header::Other);
    }

    #[test]
    fn unknown_empty_and_overlong_names_are_other() {
        for name in [&b""[..], b"Foo", b"C%6Fntact", &[b'a'; 300]] {
            assert_eq!(Header::from_name(name), Header::Other);
        }
    }
}

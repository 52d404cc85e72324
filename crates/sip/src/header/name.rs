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

/// Octets of the longest name in the list above, plus one.
const LENGTHS: usize = 21;

/// The known names ordered by length, so that a look-up compares only names of the same length.
const BY_LENGTH: [(Header, &str); KNOWN.len()] = sorted_by_length();

/// Where each length begins in `BY_LENGTH`.
const BUCKET: [usize; LENGTHS + 1] = buckets();

const fn sorted_by_length() -> [(Header, &'static str); KNOWN.len()] {
    let mut sorted = [(Header::Other, ""); KNOWN.len()];
    let (mut length, mut filled) = (0, 0);
    while length < LENGTHS {
        let mut i = 0;
        while i < KNOWN.len() {
            if KNOWN[i].1.len() == length {
                sorted[filled] = KNOWN[i];
                filled += 1;
            }
            i += 1;
        }
        length += 1;
    }
    assert!(
        filled == KNOWN.len(),
        "LENGTHS is smaller than the longest name"
    );
    sorted
}

const fn buckets() -> [usize; LENGTHS + 1] {
    let mut starts = [0; LENGTHS + 1];
    let mut length = 1;
    while length <= LENGTHS {
        let mut i = 0;
        starts[length] = starts[length - 1];
        while i < KNOWN.len() {
            if KNOWN[i].1.len() == length - 1 {
                starts[length] += 1;
            }
            i += 1;
        }
        length += 1;
    }
    starts
}

impl Header {
    /// The header of a name as it came, in any case, long or compact (RFC 3261 section 7.3.3).
    #[must_use]
    pub fn from_name(name: &[u8]) -> Self {
        if let [letter] = name {
            return Self::from_compact(letter.to_ascii_lowercase());
        }
        if name.len() >= LENGTHS {
            return Self::Other;
        }
        // Most names come in the usual case; else the first letter tells most candidates apart (bit 5 is its case).
        let same = |text: &[u8]| {
            text == name || ((text[0] ^ name[0]) & !0x20 == 0 && text.eq_ignore_ascii_case(name))
        };
        BY_LENGTH[BUCKET[name.len()]..BUCKET[name.len() + 1]]
            .iter()
            .find(|(_, text)| same(text.as_bytes()))
            .map_or(Self::Other, |(header, _)| *header)
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

//! Finding things in the text of a SIP message. Folded lines are not joined: none of the measured peers folds.

/// A message as it came: start line, header lines, body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    start: &'a str,
    headers: &'a str,
    /// What follows the empty line.
    pub(crate) body: &'a str,
}

impl<'a> Text<'a> {
    /// None: no SIP message (a keep-alive, for instance).
    pub(crate) fn scan(datagram: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(datagram).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (start, headers) = head.split_once("\r\n")?;
        Some(Self {
            start,
            headers,
            body,
        })
    }

    /// The status code, if it is a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method, if it is a request.
    pub(crate) fn method(&self) -> Option<&'a str> {
        let (method, rest) = self.start.split_once(' ')?;
        rest.ends_with(" SIP/2.0").then_some(method)
    }

    /// Every line of a header field, by its name and its compact form (RFC 3261 section 7.3.3).
    pub(crate) fn lines(
        &self,
        name: &'static str,
        compact: &'static str,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        self.headers.split("\r\n").filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            let found = found.trim_end();
            (found.eq_ignore_ascii_case(name) || found.eq_ignore_ascii_case(compact))
                .then_some(value.trim())
        })
    }

    /// The first line of a header field.
    pub(crate) fn header(&self, name: &'static str, compact: &'static str) -> Option<&'a str> {
        self.lines(name, compact).next()
    }

    /// Call-ID; empty if there is none.
    pub(crate) fn call_id(&self) -> &'a str {
        self.header("Call-ID", "i").unwrap_or_default()
    }

    /// The number and the method of CSeq.
    pub(crate) fn cseq(&self) -> Option<(u32, &'a str)> {
        let (number, method) = self.header("CSeq", "CSeq")?.split_once(' ')?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// The URI of the first Contact, without its angle brackets.
    pub(crate) fn contact(&self) -> Option<&'a str> {
        let contact = self.header("Contact", "m")?;
        match contact.split_once('<') {
            Some((_, rest)) => rest.split('>').next(),
            None => contact.split(';').next(),
        }
    }
}

/// The value of a parameter such as `tag` or `branch`, found after a semicolon.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|part| {
        let (found, value) = part.split_once('=')?;
        found
            .trim()
            .eq_ignore_ascii_case(name)
            .then_some(value.trim())
    })
}

/// Where a session description wants its audio: the connection address and the port of its first audio stream.
pub(crate) fn audio_address(description: &str) -> Option<std::net::SocketAddr> {
    let line = |prefix: &str| {
        description
            .lines()
            .find_map(|line| line.trim_end().strip_prefix(prefix).map(str::to_owned))
    };
    let address = line("c=IN IP4 ").or_else(|| line("c=IN IP6 "))?;
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(std::net::SocketAddr::new(address.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 127.0.0.1:4000;branch=z9hG4bK1\r\nTo: <sip:201@x>;tag=77\r\n\
        i:abc\r\nCSeq: 2 INVITE\r\nContact: \"A\" <sip:201@127.0.0.1:5060>;expires=9\r\nContent-Length: 5\r\n\r\nv=0\r\n";

    #[test]
    fn header_fields_are_found_by_both_names() {
        let text = Text::scan(OK).unwrap();
        assert_eq!(text.status(), Some(200));
        assert_eq!(text.method(), None);
        assert_eq!(text.call_id(), "abc");
        assert_eq!(text.cseq(), Some((2, "INVITE")));
        assert_eq!(text.contact(), Some("sip:201@127.0.0.1:5060"));
        assert_eq!(
            parameter(text.header("To", "t").unwrap(), "tag"),
            Some("77")
        );
        assert_eq!(
            parameter(text.header("Via", "v").unwrap(), "branch"),
            Some("z9hG4bK1")
        );
        assert_eq!(text.body, "v=0\r\n");
        assert!(Text::scan(b"\r\n\r\n").is_none());
    }

    #[test]
    fn audio_goes_where_the_description_says() {
        let description = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4002 RTP/AVP 0\r\n";
        assert_eq!(
            audio_address(description),
            Some("127.0.0.1:4002".parse().unwrap())
        );
        assert_eq!(audio_address("v=0\r\n"), None);
    }
}

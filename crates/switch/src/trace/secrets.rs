//! What proves or encrypts is hidden before a message is shown or leaves the machine: with a digest response anybody can
//! try passwords at leisure (RFC 3261 section 26.1, RFC 7616 section 5.8), and an SDES key decrypts the call (RFC 4568).

use bytes::Bytes;

/// The header fields that carry the answers of digest (RFC 3261 sections 20.7 and 20.28).
const CREDENTIALS: [&[u8]; 2] = [b"authorization", b"proxy-authorization"];

/// What hides an octet. As many as were there, so that all lengths stay true.
const HIDDEN: u8 = b'*';

/// The message without its secrets: digest responses, other credentials as a whole, keys of SRTP.
pub(super) fn hidden(octets: &Bytes) -> Bytes {
    let mut copy = octets.to_vec();
    let mut credentials = false;
    let mut start = 0;
    while start < copy.len() {
        let length = copy[start..].iter().position(|octet| *octet == b'\n');
        let end = length.map_or(copy.len(), |length| start + length);
        let line = &mut copy[start..end];
        // A folded line goes on with the header field before it (RFC 3261 section 7.3.1).
        let folded = line.first().is_some_and(|octet| b" \t".contains(octet));
        if !folded {
            credentials = false;
        }
        if let Some(colon) = line.iter().position(|octet| *octet == b':')
            && !folded
        {
            let name = line[..colon].trim_ascii_end().to_ascii_lowercase();
            credentials = CREDENTIALS.contains(&&name[..]);
            if credentials {
                hide_credentials(&mut line[colon + 1..]);
            }
        } else if credentials {
            hide_responses(line);
        }
        hide_keys(line);
        start = end + 1;
    }
    Bytes::from(copy)
}

/// `Digest username="201", response="6629.."`, or another scheme, of which nothing is known.
fn hide_credentials(value: &mut [u8]) {
    let blank = |octet: &u8| octet.is_ascii_whitespace();
    let start = value
        .iter()
        .position(|octet| !blank(octet))
        .unwrap_or(value.len());
    let length = value[start..]
        .iter()
        .position(blank)
        .unwrap_or(value.len() - start);
    let (scheme, rest) = value[start..].split_at_mut(length);
    if scheme.is_empty() || scheme.eq_ignore_ascii_case(b"digest") {
        hide_responses(rest);
    } else {
        hide(rest);
    }
}

/// The value of each `response`; it ends at a quote, a comma or the line's end.
fn hide_responses(line: &mut [u8]) {
    const NAME: &[u8] = b"response";
    let mut at = 0;
    while let Some(found) = line[at..]
        .windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME))
    {
        at += found + NAME.len();
        let rest = &line[at..];
        let Some(equals) = rest.iter().position(|octet| !octet.is_ascii_whitespace()) else {
            return;
        };
        if rest[equals] != b'=' {
            continue;
        }
        let value = &rest[equals + 1..];
        let before = value
            .iter()
            .position(|octet| !b" \t\"".contains(octet))
            .unwrap_or(value.len());
        let start = at + equals + 1 + before;
        let length = line[start..]
            .iter()
            .position(|octet| b"\",\r".contains(octet));
        let end = length.map_or(line.len(), |length| start + length);
        hide(&mut line[start..end]);
        at = end;
    }
}

/// Keys in session descriptions: `a=crypto:1 SUITE inline:KEY` (RFC 4568 section 9.1), `k=METHOD:KEY` (RFC 4566 section 5.12).
fn hide_keys(line: &mut [u8]) {
    const INLINE: &[u8] = b"inline:";
    if line.starts_with(b"k=") {
        hide(&mut line[2..]);
    } else if line.starts_with(b"a=crypto:") {
        let mut at = 0;
        while let Some(found) = line[at..]
            .windows(INLINE.len())
            .position(|window| window == INLINE)
        {
            let start = at + found + INLINE.len();
            let length = line[start..]
                .iter()
                .position(|octet| b"|; \t\r".contains(octet));
            let end = length.map_or(line.len(), |length| start + length);
            hide(&mut line[start..end]);
            at = end;
        }
    }
}

fn hide(octets: &mut [u8]) {
    for octet in octets {
        if !octet.is_ascii_whitespace() {
            *octet = HIDDEN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proves_or_encrypts_is_hidden_and_nothing_else() {
        for (written, shown) in [
            (
                "Authorization: Digest username=\"201\", response=\"6629fae4\", nc=00000001\r\n",
                "Authorization: Digest username=\"201\", response=\"********\", nc=00000001\r\n",
            ),
            (
                "PROXY-authorization :Digest\r\n realm=\"response=1\",\r\n\tresponse = 66,nc=1\r\nTo: response=7\r\n",
                "PROXY-authorization :Digest\r\n realm=\"response=*\",\r\n\tresponse = **,nc=1\r\nTo: response=7\r\n",
            ),
            (
                "Authorization: Basic dXNlcg==\r\nFrom: a\r\n",
                "Authorization: Basic ********\r\nFrom: a\r\n",
            ),
            (
                "WWW-Authenticate: Digest nonce=\"1\"\r\n\r\nv=0\r\nk=clear:abc\r\n",
                "WWW-Authenticate: Digest nonce=\"1\"\r\n\r\nv=0\r\nk=*********\r\n",
            ),
            (
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNf|2^20;inline:ab c\r\na=inline:x",
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:****|2^20;inline:** c\r\na=inline:x",
            ),
            (
                "Authorization: Digest response",
                "Authorization: Digest response",
            ),
            ("Authorization:", "Authorization:"),
        ] {
            let hidden = hidden(&Bytes::from_static(written.as_bytes()));
            assert_eq!(str::from_utf8(&hidden).unwrap(), shown);
        }
    }
}

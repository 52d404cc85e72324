//! Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): both sides.

mod authenticator;
mod client;
mod hash;
mod quirks;

pub(crate) use authenticator::{Authenticator, Verdict};
pub(crate) use quirks::knows_only_md5;

pub use client::Credentials;
pub(crate) use client::Ring;
pub use hash::Algorithm;

use crate::header::Credentials as Challenge;
use hash::Hash;

/// Answers a WWW-Authenticate or Proxy-Authenticate challenge: the value for Authorization or Proxy-Authorization.
///
/// `uri` is the Request-URI; `nc` counts the requests sent with this challenge's nonce, from 1; `cnonce` is a random word.
/// `None` if the challenge is no digest that we can answer: another scheme or algorithm, or only `auth-int`.
/// Of several challenges the first that gets an answer is to be used (RFC 8760 section 2.4).
#[must_use]
pub fn answer(
    challenge: &str,
    method: &str,
    uri: &str,
    user: &str,
    password: &str,
    nc: u32,
    cnonce: &str,
) -> Option<String> {
    let (mut realm, mut nonce, mut opaque) = (None, None, None);
    let (mut algorithm, mut qop) = (Algorithm::Md5, None);
    let challenge = Challenge::parse(challenge).ok()?;
    if !challenge.is_digest() {
        return None;
    }
    for (name, value) in challenge.params() {
        if name.eq_ignore_ascii_case("realm") {
            realm = Some(value);
        } else if name.eq_ignore_ascii_case("nonce") {
            nonce = Some(value);
        } else if name.eq_ignore_ascii_case("opaque") {
            opaque = Some(value);
        } else if name.eq_ignore_ascii_case("algorithm") {
            algorithm = Algorithm::parse(value)?;
        } else if name.eq_ignore_ascii_case("qop") {
            qop = Some(value);
        }
    }
    let (realm, nonce) = (realm?, nonce?);
    let ha1 = algorithm.credentials(user, realm, password);
    let counted = match qop {
        Some(offered) => {
            offered
                .split(',')
                .find(|q| q.trim().eq_ignore_ascii_case("auth"))?;
            Some((format!("{nc:08x}"), cnonce))
        }
        // RFC 7616 section 3.4.1 keeps the computation of RFC 2069 for a challenge without qop.
        None => None,
    };
    let response = algorithm.response(
        &ha1,
        nonce,
        counted.as_ref().map(|(nc, cnonce)| (nc.as_str(), *cnonce)),
        method,
        uri,
    );
    Some(write_answer(&Answer {
        user,
        realm,
        nonce,
        uri,
        response,
        algorithm,
        opaque,
        counted,
    }))
}

struct Answer<'a> {
    user: &'a str,
    realm: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: Hash,
    algorithm: Algorithm,
    opaque: Option<&'a str>,
    counted: Option<(String, &'a str)>,
}

fn write_answer(answer: &Answer<'_>) -> String {
    let Answer {
        user,
        realm,
        nonce,
        uri,
        response,
        algorithm,
        ..
    } = answer;
    let mut text = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}"
    );
    if let Some((nc, cnonce)) = &answer.counted {
        text += &format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\"");
    }
    if let Some(opaque) = answer.opaque {
        text += &format!(", opaque=\"{opaque}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7616 section 3.9.1.
    const CHALLENGE: &str = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=ALGORITHM, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn respond(algorithm: &str) -> String {
        let challenge = CHALLENGE.replace("ALGORITHM", algorithm);
        answer(
            &challenge,
            "GET",
            "/dir/index.html",
            "Mufasa",
            "Circle of Life",
            1,
            CNONCE,
        )
        .unwrap()
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        assert!(respond("MD5").contains(r#"response="8ca523f5e9506fed4657c9700eebdbec""#));
        assert!(respond("SHA-256").contains(
            r#"response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1""#
        ));
    }

    #[test]
    fn a_challenge_without_qop_gets_the_response_of_rfc_2069() {
        // RFC 2617 section 3.5's example without qop, as computed by RFC 2069 section 2.4 (erratum 749).
        let challenge =
            r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#;
        let value = answer(
            challenge,
            "GET",
            "/dir/index.html",
            "Mufasa",
            "CircleOfLife",
            1,
            "x",
        )
        .unwrap();
        assert!(
            value.contains(r#"response="1949323746fe6a43ef61f9606e7febea""#),
            "{value}"
        );
        assert!(!value.contains("qop"), "{value}");
    }

    #[test]
    fn a_challenge_that_we_cannot_answer_gets_none() {
        for challenge in [
            "Basic realm=\"x\"",
            r#"Digest realm="x", nonce="y", algorithm=SHA-512-256"#,
            r#"Digest realm="x", nonce="y", qop="auth-int""#,
            r#"Digest realm="x""#,
            "",
        ] {
            assert_eq!(
                answer(challenge, "REGISTER", "sip:x", "u", "p", 1, "c"),
                None,
                "{challenge}"
            );
        }
    }
}

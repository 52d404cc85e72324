//! What is to be shown.

use std::net::IpAddr;
use std::str::FromStr;

use super::Passed;
use super::text::Facts;

/// What is to be shown: the whole call of each message that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Everything.
    All,
    /// Messages from or to an address of this network.
    Network {
        /// Its address.
        address: IpAddr,
        /// How many bits of it count.
        bits: u32,
    },
    /// Messages with this user part in From, To or the Request-URI, or this Call-ID, or of the call with this name.
    Text(String),
}

/// No prefix of an address is that long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: write it as 192.0.2.0/24 or 2001:db8::/32")]
pub(crate) struct NoNetwork(String);

impl FromStr for Filter {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() else {
            return Ok(Self::Text(text.to_owned()));
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => longest,
            Some(bits) => match bits.parse() {
                Ok(bits) if bits <= longest => bits,
                Ok(_) | Err(_) => return Err(NoNetwork(text.to_owned())),
            },
        };
        Ok(Self::Network { address, bits })
    }
}

impl Filter {
    /// Whether the message itself matches.
    pub(super) fn matches(&self, passed: &Passed, facts: &Facts) -> bool {
        match self {
            Self::All => true,
            Self::Network { address, bits } => [passed.flow.local, passed.flow.remote]
                .iter()
                .any(|it| same_network(it.ip(), *address, *bits)),
            Self::Text(text) => {
                [&facts.from, &facts.to, &facts.dialled, &facts.call_id].contains(&text)
            }
        }
    }

    /// Whether it is the name of this call.
    pub(super) fn names(&self, call: &str) -> bool {
        match self {
            Self::All => true,
            Self::Network { .. } => false,
            Self::Text(text) => text == call,
        }
    }
}

fn same_network(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (one.to_bits() ^ other.to_bits()).leading_zeros() >= bits
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            (one.to_bits() ^ other.to_bits()).leading_zeros() >= bits
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_one_and_all_else_is_a_number_or_a_name() {
        let network = |address: &str, bits| {
            let address = address.parse().unwrap();
            Ok(Filter::Network { address, bits })
        };
        assert_eq!("192.0.2.7".parse(), network("192.0.2.7", 32));
        assert_eq!("[2001:db8::7]".parse(), network("2001:db8::7", 128));
        assert_eq!("2001:db8::/32".parse(), network("2001:db8::", 32));
        for text in [
            "700",
            "+4930901820",
            "a@192.0.2.7",
            "sip:a/b",
            "20261120T212000123-5",
        ] {
            assert_eq!(text.parse(), Ok(Filter::Text(text.to_owned())));
        }
        for text in ["192.0.2.0/33", "192.0.2.0/", "::/129"] {
            assert!(text.parse::<Filter>().is_err());
        }
    }

    #[test]
    fn a_network_holds_the_addresses_that_share_its_first_bits() {
        let same = |one: &str, other: &str, bits| {
            same_network(one.parse().unwrap(), other.parse().unwrap(), bits)
        };
        assert!(same("192.0.2.200", "192.0.2.0", 24));
        assert!(!same("192.0.3.1", "192.0.2.0", 24));
        assert!(same("10.0.0.1", "192.0.2.0", 0));
        assert!(same("2001:db8:1::1", "2001:db8::", 32));
        assert!(!same("192.0.2.1", "::", 0));
    }
}

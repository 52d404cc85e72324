//! Strangers whose datagrams are dropped before anybody looks at them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sip::guard::{Stranger, neighbourhood};

/// Most strangers at once. Full, those whose time is over leave; if none is, no more are taken in: their requests are dropped
/// by the endpoint, one by one.
const MAX_SHUT: usize = 16_384;

/// The strangers, shared by the sockets. Locked for a look-up, and only while there are any.
#[derive(Debug, Default)]
pub(super) struct Shut(Mutex<HashMap<Stranger, Instant>>);

impl Shut {
    /// Shuts a stranger out for a while.
    pub(super) fn add(&self, stranger: Stranger, until: Instant, now: Instant) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() == MAX_SHUT {
            table.retain(|_, until| *until > now);
        }
        if table.len() < MAX_SHUT {
            table.insert(stranger, until);
        }
    }

    /// Whether this peer is shut out.
    pub(super) fn has(&self, peer: SocketAddr) -> bool {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.is_empty() {
            return false;
        }
        let names = [
            Stranger::Address(neighbourhood(peer.ip())),
            Stranger::Port(peer),
        ];
        let Some((name, until)) = names.iter().find_map(|name| table.get_key_value(name)) else {
            return false;
        };
        let shut = *until > Instant::now();
        if !shut {
            let name = *name;
            table.remove(&name);
        }
        shut
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> Stranger {
        Stranger::Address(text.parse().unwrap())
    }

    #[test]
    fn an_address_is_shut_out_until_its_time_is_over() {
        let (shut, now) = (Shut::default(), Instant::now());
        let later = now + Duration::from_secs(60);
        let banned = "192.0.2.9:5060".parse().unwrap();
        assert!(!shut.has(banned));
        shut.add(address("192.0.2.9"), later, now);
        assert!(shut.has(banned) && shut.has("192.0.2.9:9".parse().unwrap()));
        assert!(!shut.has("192.0.2.10:5060".parse().unwrap()));
        shut.add(address("192.0.2.9"), now, now);
        assert!(!shut.has(banned));
        shut.add(address("2001:db8::"), later, now);
        assert!(shut.has("[2001:db8::7]:5060".parse().unwrap()));
    }

    #[test]
    fn a_port_is_shut_out_alone() {
        let (shut, now) = (Shut::default(), Instant::now());
        let flooding = "192.0.2.9:5060".parse().unwrap();
        shut.add(Stranger::Port(flooding), now + Duration::from_secs(60), now);
        assert!(shut.has(flooding) && !shut.has("192.0.2.9:5061".parse().unwrap()));
        shut.add(Stranger::Port(flooding), now, now);
        assert!(!shut.has(flooding));
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let (shut, now) = (Shut::default(), Instant::now());
        let later = now + Duration::from_secs(60);
        for number in 0..=MAX_SHUT {
            let address = IpAddr::from((0x0a00_0000_u32 + number as u32).to_be_bytes());
            shut.add(Stranger::Address(address), later, now);
        }
        assert_eq!(shut.0.lock().unwrap().len(), MAX_SHUT);
    }
}

//! Under which address peers see us: behind a router that translates addresses, another one than ours.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::Flow;
use crate::guard::Network;

/// Who sees us where. Nothing in it: everybody sees our own addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    views: Vec<View>,
    ports: BTreeMap<u16, u16>,
}

/// What the peers of a network see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The network.
    pub network: Network,
    /// Our addresses there, one of each family at the most; none of a family: our own.
    pub addresses: Vec<IpAddr>,
}

impl Nat {
    /// Of several networks that hold a peer the most precise one counts. `ports`: where the router of an outer address
    /// listens in place of each port of ours; one that is not named is the same there.
    #[must_use]
    pub fn new(mut views: Vec<View>, ports: BTreeMap<u16, u16>) -> Self {
        views.sort_by_key(|view| std::cmp::Reverse(view.network.prefix()));
        Self { views, ports }
    }

    /// Our address in the signalling with the peer of this flow.
    #[must_use]
    pub fn signalling(&self, flow: Flow) -> SocketAddr {
        match self.outer(flow.remote.ip(), flow.local.ip()) {
            Some(address) => {
                let port = flow.local.port();
                SocketAddr::new(address, self.ports.get(&port).copied().unwrap_or(port))
            }
            None => flow.local,
        }
    }

    /// Where a peer whose signalling comes over this flow sends its sound, which arrives at `local`. The router must lead
    /// each port of RTP to the same one here.
    #[must_use]
    pub fn media(&self, flow: Flow, local: SocketAddr) -> SocketAddr {
        let outer = self.outer(flow.remote.ip(), local.ip());
        SocketAddr::new(outer.unwrap_or(local.ip()), local.port())
    }

    /// What a peer sees in the place of an address of ours, if it is another one.
    fn outer(&self, peer: IpAddr, ours: IpAddr) -> Option<IpAddr> {
        let view = self.views.iter().find(|view| view.network.contains(peer))?;
        let same_family = |address: &&IpAddr| address.is_ipv4() == ours.is_ipv4();
        view.addresses.iter().find(same_family).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    fn view(network: &str, addresses: &[&str]) -> View {
        View {
            network: network.parse().unwrap(),
            addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        }
    }

    /// A site with a router to the Internet, and a tunnel to another site.
    fn nat() -> Nat {
        let views = vec![
            view("0.0.0.0/0", &["203.0.113.7", "2001:db8::7"]),
            view("::/0", &["203.0.113.7", "2001:db8::7"]),
            view("10.0.0.0/8", &[]),
            view("10.9.0.0/16", &["10.9.0.1"]),
        ];
        Nat::new(views, BTreeMap::from([(5060, 15_060)]))
    }

    fn seen(local: &str, remote: &str) -> String {
        let flow = Flow {
            transport: Transport::Udp,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        };
        nat().signalling(flow).to_string()
    }

    #[test]
    fn the_most_precise_network_of_the_peer_decides() {
        assert_eq!(seen("10.0.0.5:5060", "10.0.0.77:5060"), "10.0.0.5:5060");
        assert_eq!(seen("10.0.0.5:5060", "10.9.0.77:5060"), "10.9.0.1:15060");
        assert_eq!(seen("10.0.0.5:5060", "192.0.2.9:5060"), "203.0.113.7:15060");
        assert_eq!(seen("10.0.0.5:5061", "192.0.2.9:5060"), "203.0.113.7:5061");
        assert_eq!(
            seen("[fd00::5]:5061", "[2001:db8:1::9]:5060"),
            "[2001:db8::7]:5061"
        );
        assert_eq!(
            seen("10.0.0.5:5060", "[::ffff:10.1.1.1]:5060"),
            "10.0.0.5:5060"
        );
    }

    #[test]
    fn sound_has_the_outer_address_of_its_own_family_and_our_port() {
        let flow = Flow {
            transport: Transport::Udp,
            local: "10.0.0.5:5060".parse().unwrap(),
            remote: "192.0.2.9:5060".parse().unwrap(),
        };
        let media = |local: &str| nat().media(flow, local.parse().unwrap()).to_string();
        assert_eq!(media("10.0.0.5:5060"), "203.0.113.7:5060");
        assert_eq!(media("[fd00::5]:16384"), "[2001:db8::7]:16384");
        let here = Nat::default().media(flow, "10.0.0.5:16384".parse().unwrap());
        assert_eq!(here.to_string(), "10.0.0.5:16384");
    }
}

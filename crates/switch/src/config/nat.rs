//! `[nat]` of ringmaster.toml: under which addresses peers beyond a router see the switch.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sip::guard::Network;
use sip::nat::{Nat, View};

use super::listen::specific;
use super::mistake::{Located, Mistakes, shortened};
use super::section::Section;
use super::{Listener, defaults};

/// Most networks: each message that begins something is compared with all of them.
const MAX_NETWORKS: usize = 64;

/// Everybody.
const ALL: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The section.
pub(super) struct RawNat {
    pub(super) nat: Nat,
    /// Every address that somebody is told in the place of ours.
    pub(super) outer: Vec<IpAddr>,
    external: Vec<Located<IpAddr>>,
    /// Our ports that the router leads to from others.
    ports: Vec<Located<u16>>,
}

impl RawNat {
    /// Reads the section.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let external = section.texts("external").unwrap_or_default();
        let external = addresses(&mut section, external);
        let local = section.texts("local");
        if let (Some(written), true) = (&local, external.is_empty()) {
            let place = written.first().map_or(section.place(), |text| text.place);
            let text = "`local` says who is not told the `external` address, and there is none";
            section.mistakes.add(place, text.to_owned());
        }
        let mut views: Vec<(Located<Network>, Vec<IpAddr>)> = Vec::new();
        for text in local.unwrap_or_default() {
            let found = network(&mut section, &text);
            views.extend(found.map(|network| (network, Vec::new())));
        }
        let outer = external.iter().map(|address| address.value);
        let mut outer: Vec<IpAddr> = outer.collect();
        let of_networks = networks(&mut section);
        outer.extend(of_networks.iter().flat_map(|(_, addresses)| addresses));
        views.extend(of_networks);
        let (ports, led) = ports(&mut section, !outer.is_empty());
        each_once(&views, section.mistakes);
        section.finish();
        let mut views: Vec<View> = views
            .into_iter()
            .map(|(network, addresses)| View {
                network: network.value,
                addresses,
            })
            .collect();
        if !external.is_empty() {
            let external: Vec<IpAddr> = external.iter().map(|it| it.value).collect();
            let inside = defaults::LOCAL_NETWORKS.map(|text| (text, Vec::new()));
            let everybody = ALL.map(|text| (text, external.clone()));
            for (text, addresses) in inside.into_iter().chain(everybody) {
                let network = text.parse().expect("invariant: the text is a network");
                // What is written counts before what is usual.
                if views.iter().all(|view| view.network != network) {
                    views.push(View { network, addresses });
                }
            }
        }
        Self {
            nat: Nat::new(views, led),
            outer,
            external,
            ports,
        }
    }

    /// What contradicts the listeners.
    pub(super) fn check(&self, listeners: &[Located<Listener>], mistakes: &mut Mistakes) {
        for Located { value, place } in &self.external {
            let own = listeners.iter().find(|it| it.value.address.ip() == *value);
            if let Some(own) = own {
                let text =
                    format!("`{value}` is an address of the switch itself: nothing is translated");
                mistakes.add_also(*place, text, "listens there", Some(own.place));
            }
            let same = |it: &&Located<Listener>| it.value.address.is_ipv4() == value.is_ipv4();
            let family = if value.is_ipv4() { "IPv4" } else { "IPv6" };
            let mut fitting = listeners.iter().filter(same).peekable();
            if fitting.peek().is_none() {
                let text = format!("`{value}` is of no use: `listen` has no {family} address");
                mistakes.add(*place, text);
            } else if fitting.all(|it| it.value.address.ip().is_loopback()) {
                let text = format!(
                    "`{value}` leads nowhere: `listen` has only loopback addresses of {family}, which no router reaches"
                );
                mistakes.add(*place, text);
            }
        }
        for port in &self.ports {
            let listens = |it: &Located<Listener>| it.value.address.port() == port.value;
            if !listeners.iter().any(listens) {
                let text = format!("nothing of `listen` has port {}", port.value);
                mistakes.add(port.place, text);
            }
        }
    }
}

/// One address of each family at the most.
fn addresses(section: &mut Section<'_, '_>, texts: Vec<Located<String>>) -> Vec<Located<IpAddr>> {
    let mut addresses: Vec<Located<IpAddr>> = Vec::new();
    for text in texts {
        let Some(value) = section.address(&text) else {
            continue;
        };
        if let Err(why) = specific(value) {
            section
                .mistakes
                .add(text.place, format!("`{value}`: {why}"));
        }
        let same = |it: &&Located<IpAddr>| it.value.is_ipv4() == value.is_ipv4();
        if let Some(first) = addresses.iter().find(same) {
            let again = format!("`{value}` is a second address of its family: one is told");
            section
                .mistakes
                .add_also(text.place, again, "first", Some(first.place));
        }
        let place = text.place;
        addresses.push(Located { value, place });
    }
    addresses
}

fn network(section: &mut Section<'_, '_>, text: &Located<String>) -> Option<Located<Network>> {
    let place = text.place;
    match text.value.parse() {
        Ok(value) => Some(Located { value, place }),
        Err(why) => {
            let why = format!("`{}`: {why}", shortened(&text.value));
            section.mistakes.add(place, why);
            None
        }
    }
}

/// Who is told other addresses than everybody.
fn networks(section: &mut Section<'_, '_>) -> Vec<(Located<Network>, Vec<IpAddr>)> {
    let entries = section.list("networks").unwrap_or_default();
    if entries.len() > MAX_NETWORKS {
        let text = format!("`networks` has more than {MAX_NETWORKS} networks");
        section.mistakes.add(section.place(), text);
    }
    let mut networks = Vec::new();
    for entry in entries.iter().take(MAX_NETWORKS) {
        let mut item = section.enter(entry);
        let text = item.required_text("network");
        let told = item.texts("addresses").unwrap_or_default();
        let told = addresses(&mut item, told);
        let told = told.into_iter().map(|address| address.value).collect();
        let network = text.and_then(|text| network(&mut item, &text));
        networks.extend(network.map(|network| (network, told)));
        item.finish();
    }
    networks
}

/// At which port the router listens in the place of one of ours.
fn ports(
    section: &mut Section<'_, '_>,
    is_translated: bool,
) -> (Vec<Located<u16>>, BTreeMap<u16, u16>) {
    let (mut ours, mut led) = (Vec::new(), BTreeMap::new());
    for entry in section.list("ports").unwrap_or_default() {
        let mut item = section.enter(&entry);
        let mut port = |key| {
            let port = item.number(key, 1..=65_535, "");
            port.and_then(|port| {
                let value = u16::try_from(port.value).ok()?;
                let place = port.place;
                Some(Located { value, place })
            })
        };
        if let (Some(here), Some(there)) = (port("ours"), port("theirs")) {
            led.insert(here.value, there.value);
            ours.push(here);
        }
        item.finish();
    }
    if let (Some(first), false) = (ours.first(), is_translated) {
        let text = "`ports` belong to an `external` address, and there is none".to_owned();
        section.mistakes.add(first.place, text);
    }
    (ours, led)
}

/// A network says one thing.
fn each_once(views: &[(Located<Network>, Vec<IpAddr>)], mistakes: &mut Mistakes) {
    for (index, (network, _)) in views.iter().enumerate() {
        let first = views[..index]
            .iter()
            .find(|(it, _)| it.value == network.value);
        if let Some((first, _)) = first {
            let text = format!("`{}` stands here again", network.value);
            mistakes.add_also(network.place, text, "first", Some(first.place));
        }
    }
}

#[cfg(test)]
mod tests {
    use sip::flow::{Flow, Transport};

    use super::super::tests::{load_with, sample_text};
    use super::super::{Checked, File, Report};

    /// The sample on 192.0.2.1 with these settings of `[nat]`.
    fn load(nat: &str) -> Result<Checked, Report> {
        let text = sample_text(File::Ringmaster).replace("127.0.0.1", "192.168.1.5");
        let text = text.replace("[nat]\n", &format!("[nat]\n{nat}\n"));
        let phones = sample_text(File::Phones).replace("ringmaster-", "correct-horse-");
        load_with(&[(File::Ringmaster, &text), (File::Phones, &phones)])
    }

    fn told(nat: &str) -> String {
        load(nat).map_or_else(|report| report.to_string(), |_| String::new())
    }

    fn seen(nat: &str, remote: &str) -> String {
        let flow = Flow {
            transport: Transport::Udp,
            local: "192.168.1.5:5060".parse().unwrap(),
            remote: format!("{remote}:5060").parse().unwrap(),
        };
        load(nat).unwrap().nat.signalling(flow).to_string()
    }

    #[test]
    fn private_networks_see_the_switch_itself_and_all_others_the_router() {
        let nat = "external = ['203.0.113.7']";
        assert_eq!(seen(nat, "192.168.7.7"), "192.168.1.5:5060");
        assert_eq!(seen(nat, "198.51.100.9"), "203.0.113.7:5060");
        assert_eq!(load(nat).unwrap().outer_addresses.len(), 1);
        assert_eq!(seen("", "198.51.100.9"), "192.168.1.5:5060");
    }

    #[test]
    fn what_is_written_of_a_network_counts_before_what_is_usual() {
        let nat = "external = ['203.0.113.7']\nlocal = ['198.51.100.0/24']\n\
                   networks = [ { network = '10.9.0.0/16', addresses = ['10.9.0.1'] } ]\n\
                   ports = [ { ours = 5060, theirs = 15060 } ]";
        assert_eq!(seen(nat, "198.51.100.9"), "192.168.1.5:5060");
        assert_eq!(seen(nat, "10.9.1.1"), "10.9.0.1:15060");
        assert_eq!(seen(nat, "10.8.1.1"), "192.168.1.5:5060");
        assert_eq!(seen(nat, "8.8.8.8"), "203.0.113.7:15060");
    }

    #[test]
    fn contradictions_are_told() {
        for (nat, expected) in [
            (
                "external = ['192.168.1.5']",
                "is an address of the switch itself",
            ),
            ("external = ['2001:db8::7']", "`listen` has no IPv6 address"),
            ("external = ['0.0.0.0']", "name one address"),
            (
                "external = ['203.0.113.7', '203.0.113.8']",
                "a second address of its family",
            ),
            ("local = ['10.0.0.0/8']", "and there is none"),
            (
                "ports = [ { ours = 5060, theirs = 1 } ]",
                "and there is none",
            ),
            (
                "external = ['203.0.113.7']\nports = [ { ours = 5099, theirs = 1 } ]",
                "nothing of `listen` has port 5099",
            ),
            (
                "external = ['203.0.113.7']\nlocal = ['10.0.0.0/8', '10.0.0.0/8']",
                "`10.0.0.0/8` stands here again",
            ),
            ("external = ['here']", "here"),
            (
                "networks = [ { addresses = ['10.9.0.1'] } ]",
                "no `network`",
            ),
        ] {
            let report = told(nat);
            assert!(report.contains(expected), "{nat}:\n{report}");
        }
    }
}

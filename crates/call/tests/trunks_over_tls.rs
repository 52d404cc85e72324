//! Trunks over TLS: who proves what, and what goes over them.

use call::Cause;
use call::trunk::{CertificateFiles, Host, HostName, Proof, Trunk};
use sip::Transport;
use sip::endpoint::Source;
use testkit::{Access, Behaviour, PhoneState, Site, World};

use crate::scene::{SECOND, dial};
use crate::trunks::{site, trunk};

/// A trunk that is reached over TLS at the connection of a world's first phone.
fn secure_trunk(certificate: &str, sips: bool) -> Trunk {
    let mut trunk = trunk(&[]);
    trunk.hosts = vec![Host {
        name: HostName::Address("10.0.0.1:49152".parse().expect("an address")),
        transport: Some(Transport::Tls),
        priority: 1,
        weight: 1,
    }];
    trunk.tls_name = Some(certificate.to_owned());
    trunk.tls_authorities = Some("carrier.pem".into());
    trunk.sips = sips;
    trunk
}

/// A site with such trunks alone.
fn secure_site(trunks: &[(&str, Trunk)]) -> Site {
    let mut site = site(trunks);
    let local = "192.0.2.1:5060".parse().expect("an address");
    site.settings.outside.listeners = vec![(Transport::Tls, local)];
    site
}

#[test]
fn a_trunk_over_tls_must_prove_its_name_before_anything_leaves_for_it() {
    let mut world = World::new(secure_site(&[(
        "provider",
        secure_trunk("sip.provider.example", false),
    )]));
    let provider = world.phone_with("provider", Access::TLS);
    let alice = world.registered("205");
    world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "0301234");
    world.run(3 * SECOND);
    assert_eq!(world[provider].state(), PhoneState::Talking);
    let proof = Proof {
        name: "sip.provider.example".into(),
        authorities: Some("carrier.pem".into()),
        certificate: None,
    };
    let place = "10.0.0.1:49152".parse().expect("an address");
    assert_eq!(world.proofs.places, [(place, proof)].into());
    assert!(world.proofs.sources.is_empty());
}

#[test]
fn a_trunk_that_proves_its_name_calls_over_tls_alone_and_is_shown_our_certificate() {
    let mut provider = secure_trunk("sip.provider.example", false);
    let ours = CertificateFiles {
        certificate: "ours.pem".into(),
        key: "ours.key".into(),
    };
    provider.tls_certificate = Some(ours.clone());
    provider.tls_verify = true;
    provider.sources = vec![Source {
        network: "10.0.0.0".parse().expect("an address"),
        prefix: 30,
        port: None,
    }];
    let mut world = World::new(secure_site(&[("provider", provider)]));
    let [over_tls, over_udp] =
        [Access::TLS, Access::UDP].map(|access| world.phone_with("provider", access));
    let alice = world.registered("205");
    for (caller, rings) in [(over_udp, false), (over_tls, true)] {
        dial(&mut world, caller, "030212");
        world.run(SECOND);
        assert_eq!(world[alice].state() == PhoneState::Ringing, rings);
    }
    let sources: Vec<String> = world
        .proofs
        .sources
        .keys()
        .map(|it| it.network.to_string())
        .collect();
    assert_eq!(sources, ["10.0.0.0", "10.0.0.1"]);
    let shown = |proof: &Proof| proof.certificate.as_ref() == Some(&ours);
    assert!(world.proofs.places.values().all(shown));
}

#[test]
fn a_place_that_two_trunks_call_by_different_names_is_the_first_ones() {
    let trunks = ["a", "b"].map(|name| {
        let certificate = format!("sip.{name}.example");
        (name, secure_trunk(&certificate, false))
    });
    let mut world = World::new(secure_site(&trunks));
    let provider = world.phone_with("provider", Access::TLS);
    let alice = world.registered("205");
    world[provider].behaviour = Behaviour::Refuse(503);
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    let legs = &world.records[0].legs;
    let accounts: Vec<&str> = legs.iter().map(|leg| leg.account.as_str()).collect();
    assert_eq!(accounts, ["205", "a"]);
    let names: Vec<&str> = world.proofs.places.values().map(|it| &*it.name).collect();
    assert_eq!(names, ["sip.a.example"]);
}

#[test]
fn a_sips_call_goes_over_a_trunk_of_sips_and_over_no_other() {
    for sips in [false, true] {
        let mut world = World::new(secure_site(&[(
            "provider",
            secure_trunk("sip.provider.example", sips),
        )]));
        let provider = world.phone_with("provider", Access::TLS);
        let alice = world.registered_with("205", Access::TLS);
        world[alice].scheme = "sips";
        world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
        dial(&mut world, alice, "0301234");
        world.run(3 * SECOND);
        let talks = world[provider].state() == PhoneState::Talking;
        assert_eq!(talks, sips);
        if !sips {
            assert_eq!(world.records[0].cause, Cause::Unregistered);
        }
    }
}

//! What depends on the transport: `sips:`, and requests too large for a datagram.

use sip::header::Header;
use sip::nat::{Nat, View};
use sip::{Event, Flow, Transport};

use crate::bench::{Bench, describe, describe_all, flow, settings};
use crate::phone::{Phone, SDP, SWITCH, value};

fn secure_invite(bench: &mut Bench, phone: &mut Phone) -> String {
    let uri = format!("sips:700@{SWITCH}");
    let lines = [format!("Contact: <{}>", phone.contact())];
    let sent = phone.authorized(bench, "INVITE", &uri, &format!("<{uri}>"), &lines, SDP);
    describe_all(&sent)
}

/// The call that came is answered; the Contact of the answer.
fn taken(bench: &mut Bench, secure: bool) -> String {
    let events = bench.take_events();
    let [Event::Incoming { leg, invite }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(invite.secure, secure);
    bench.endpoint.answer(*leg, SDP.into(), bench.now);
    bench.drain();
    value(&bench.only(), Header::Contact)
}

#[test]
fn a_sips_call_over_tls_is_answered_with_a_sips_contact() {
    let mut bench = Bench::new();
    let mut phone = Phone::at("201", flow(Transport::Tls, "127.0.0.9:40000"));
    assert_eq!(secure_invite(&mut bench, &mut phone), "100 Trying (INVITE)");
    let contact = taken(&mut bench, true);
    assert_eq!(contact, "<sips:700@127.0.0.1:5060>");
}

#[test]
fn a_sip_call_over_tls_is_answered_with_a_contact_of_tls() {
    let mut bench = Bench::new();
    let mut phone = Phone::at("201", flow(Transport::Tls, "127.0.0.9:40000"));
    phone.invite(&mut bench, "700", SDP);
    let contact = taken(&mut bench, false);
    assert_eq!(contact, "<sip:700@127.0.0.1:5060;transport=tls>");
}

#[test]
fn a_sips_call_that_came_without_tls_is_refused() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Ws] {
        let mut bench = Bench::new();
        let mut phone = Phone::at("201", flow(transport, "127.0.0.9:40000"));
        let uri = format!("sips:700@{SWITCH}");
        let text = phone.write("INVITE", &uri, &format!("<{uri}>"), &[], SDP);
        phone.send(&mut bench, &text);
        let refusal = bench.only();
        assert_eq!(
            describe(&refusal),
            "416 Unsupported URI Scheme (INVITE)",
            "{transport}"
        );
    }
}

/// Calls a phone with a description of so many octets; gives the flow and the Via of what left.
fn call(bench: &mut Bench, contact: &str, octets: usize) -> (Flow, String) {
    let phone = Phone::at("201", flow(Transport::Udp, "127.0.0.9:5062"));
    let mut outgoing = phone.outgoing();
    outgoing.binding.contact = contact.into();
    outgoing.offer = vec![b'x'; octets].into();
    bench.endpoint.invite(outgoing, bench.now);
    bench.drain();
    left(bench)
}

fn left(bench: &mut Bench) -> (Flow, String) {
    let sent = std::mem::take(&mut bench.sent);
    let [(flow, request)] = &sent[..] else {
        panic!("{sent:?}")
    };
    (*flow, value(request, Header::Via)[..12].to_owned())
}

#[test]
fn a_large_invite_goes_over_tcp_and_over_udp_where_tcp_is_refused() {
    let contact = "sip:201@127.0.0.9:5062";
    let mut bench = Bench::new();
    let (udp, via) = call(&mut bench, contact, 100);
    assert_eq!((udp.transport, &*via), (Transport::Udp, "SIP/2.0/UDP "));
    let (tcp, via) = call(&mut bench, contact, 1300);
    assert_eq!((tcp.transport, &*via), (Transport::Tcp, "SIP/2.0/TCP "));
    assert_eq!((tcp.local, tcp.remote), (udp.local, udp.remote));
    bench.endpoint.handle_flow_closed(tcp, bench.now);
    bench.drain();
    assert_eq!(left(&mut bench), (udp, "SIP/2.0/UDP ".to_owned()));
    assert!(bench.take_events().is_empty(), "the call goes on");
    // It is not asked again.
    assert_eq!(call(&mut bench, contact, 1300).0, udp);
}

#[test]
fn a_large_invite_to_a_phone_behind_nat_stays_on_its_flow() {
    let mut bench = Bench::new();
    let (flow, _) = call(&mut bench, "sip:201@10.0.0.9:5062", 1300);
    assert_eq!(flow.transport, Transport::Udp);
}

/// A switch at 127.0.0.1 whose router is 203.0.113.7 and leads its port 6050 here; 127.0.0.0/8 is its own network.
fn behind_a_router() -> Bench {
    let view = |network: &str, addresses: &[&str]| View {
        network: network.parse().unwrap(),
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
    };
    let views = vec![
        view("0.0.0.0/0", &["203.0.113.7"]),
        view("127.0.0.0/8", &[]),
    ];
    let nat = Nat::new(views, [(5060, 6050)].into());
    let mut bench = Bench::new();
    let settings = sip::endpoint::Settings { nat, ..settings() };
    bench.endpoint.configure(settings, bench.now);
    bench
}

#[test]
fn a_phone_beyond_the_router_is_told_the_routers_address_and_one_at_home_ours() {
    for (remote, ours) in [
        ("198.51.100.9:5062", "203.0.113.7"),
        ("127.0.0.9:5062", "127.0.0.1"),
    ] {
        let port = if ours == "127.0.0.1" { 5060 } else { 6050 };
        let mut bench = behind_a_router();
        let phone = Phone::at("201", flow(Transport::Udp, remote));
        bench.endpoint.invite(phone.outgoing(), bench.now);
        bench.drain();
        let invite = bench.only();
        let via = format!("SIP/2.0/UDP {ours}:{port};rport");
        assert!(value(&invite, Header::Via).starts_with(&via));
        assert_eq!(
            value(&invite, Header::Contact),
            format!("<sip:202@{ours}:{port}>")
        );
        assert!(value(&invite, Header::From).starts_with(&format!("<sip:202@{ours}>")));
        let mut caller = Phone::at("202", flow(Transport::Udp, remote));
        caller.invite(&mut bench, "700", SDP);
        bench.take_sent();
        let contact = taken(&mut bench, false);
        assert_eq!(contact, format!("<sip:700@{ours}:{port}>"));
    }
}

use call::settings::Destination;
use call::trunk::{Caller, Shown};
use queue::QueueId;
use sip::endpoint::Account;

use super::super::tests::{load_with, sample_text};
use super::*;

/// The example of the sample with its lines made active.
fn example() -> String {
    let lines = sample_text(File::Trunks).lines().map(|line| {
        let setting = line.starts_with('#') && line.len() > 1 && !line.starts_with("# ");
        if setting { &line[1..] } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn told(text: &str) -> String {
    load_with(&[(File::Trunks, text)]).map_or_else(|report| report.to_string(), |_| String::new())
}

const TRUNK: &str = "[trunks.t]\nhost = \"127.0.0.1:5070\"\ncaller = \"1\"\n";

#[test]
fn the_sample_has_no_trunk_and_its_example_is_one() {
    assert!(load_with(&[]).unwrap().outside.trunks.is_empty());
    let outside = load_with(&[(File::Trunks, &example())]).unwrap().outside;
    let trunk = &outside.trunks[&Account("provider".into())];
    assert_eq!(
        trunk.hosts[0].name,
        HostName::Address("192.0.2.10:5060".parse().unwrap())
    );
    assert_eq!(trunk.register, Some(defaults::TRUNK_EXPIRES));
    assert_eq!(trunk.options, Some(defaults::TRUNK_OPTIONS));
    assert_eq!(trunk.max_calls, defaults::TRUNK_CALLS);
    assert_eq!(trunk.calls_per_second, defaults::TRUNK_RATE);
    assert_eq!(trunk.caller, Caller::Fixed("+49301230".to_owned()));
    assert_eq!((trunk.identity, trunk.trusted), (Shown::Asserted, true));
    let support = Destination::Queue(QueueId("support".into()).into());
    assert!(
        trunk
            .numbers
            .iter()
            .any(|(_, leads_to)| *leads_to == support)
    );
    assert_eq!(
        outside.routes[0].trunks[0].trunk,
        Account("provider".into())
    );
    let bare = load_with(&[(File::Trunks, "")]).unwrap().outside;
    assert_eq!(bare.everybody, outside.everybody);
    assert_eq!(bare.international, outside.international);
}

#[test]
fn every_mistake_is_told_at_its_place() {
    for (text, expected) in [
        (
            "[trunks.t]\ncaller = \"1\"\n",
            "trunks.toml:1:9: a trunk has one `host` or several `hosts`",
        ),
        (
            "[trunks.t]\nhost = \"1.2.3\"\ncaller = \"1\"\n",
            "2:8: `1.2.3` is no host",
        ),
        (
            "[trunks.t]\nhost = \"[::1]:5070\"\ncaller = \"1\"\n",
            "2:8: `[::1]:5070` cannot be reached",
        ),
        (
            "[trunks.t]\nhost = \"127.0.0.1\"\n",
            "`trunks.t` has no `caller`",
        ),
        (
            "[trunks.201]\nhost = \"127.0.0.1\"\ncaller = \"1\"\n",
            "1:9: `201` is a phone already",
        ),
        (
            &format!("{TRUNK}register = true\n"),
            "`register = true` needs `user` and `password`",
        ),
        (
            &format!("{TRUNK}user = \"a\"\n"),
            "`user` and `password` belong together",
        ),
        (
            &format!("{TRUNK}sources = [\"10.0.0.0/4\"]\n"),
            "`10.0.0.0/4` is no address",
        ),
        (
            &format!("{TRUNK}number_out = [ {{ pattern = \"0.1\" }} ]\n"),
            "pattern `0.1`: `.`",
        ),
        (
            &format!("{TRUNK}number_in = [ {{ pattern = \"0X\", strip = 2 }} ]\n"),
            "would leave nothing",
        ),
        (
            &format!("{TRUNK}[trunks.t.numbers]\n1 = {{ queue = \"suport\" }}\n"),
            "unknown queue `suport`: did you mean `support`",
        ),
        (
            &format!("{TRUNK}[trunks.t.numbers]\n1 = \"log-in\"\n"),
            "cannot log in or out",
        ),
        (
            "[routes.r]\npattern = \"0.\"\ntrunks = [\"t\"]\n",
            "unknown trunk `t`",
        ),
        (
            "[routes.r]\npattern = \"0.\"\n",
            "route `r` has no `trunks`",
        ),
        (
            &format!("{TRUNK}[routes.r]\npattern = \"0\"\nstrip = 1\ntrunks = [\"t\"]\n"),
            "would leave nothing",
        ),
        (
            "[outside]\ninternational = [\"A\"]\n",
            "pattern `A`: `A` cannot be dialled",
        ),
        ("[trunk.t]\n", "unknown key `trunk`"),
    ] {
        let told = told(text);
        assert!(told.contains(expected), "{text}\n{told}");
    }
}

#[test]
fn callers_from_outside_supervise_nobody() {
    for code in ["listen", "whisper", "barge"] {
        let told = told(&format!("{TRUNK}[trunks.t.numbers]\n1 = \"{code}\"\n"));
        assert!(
            told.contains("callers from outside supervise nobody"),
            "{told}"
        );
    }
}

#[test]
fn agents_and_groups_outside_need_a_route() {
    let queues = sample_text(File::Queues).replace(
        "[agents.204]\nphone = \"204\"",
        "[agents.204]\nnumber = \"0171\"",
    );
    let numbers = sample_text(File::Numbers).replace("[\"206\", \"207\"]", "[\"206\", \"0171\"]");
    let files = [
        (File::Queues, queues.as_str()),
        (File::Numbers, numbers.as_str()),
    ];
    let report = load_with(&files).unwrap_err().to_string();
    assert!(
        report.contains("`0171` leads nowhere: no route"),
        "{report}"
    );
    assert!(report.contains("unknown phone `0171`"), "{report}");
    let example = example();
    let with = [files[0], files[1], (File::Trunks, example.as_str())];
    let checked = load_with(&with).unwrap();
    assert!(
        checked
            .outside()
            .agents
            .values()
            .any(|number| number == "0171")
    );
}

#[test]
fn a_phone_has_limits_of_its_own() {
    let phones = sample_text(File::Phones).replace(
        "205 = { password = \"ringmaster-205\" }",
        "205 = { password = \"ringmaster-205\", outside = { calls = 1, minutes_per_day = 30, international_calls = true } }",
    );
    let checked = load_with(&[(File::Phones, &phones)]).unwrap();
    let allowance = checked.outside.accounts[&Account("205".into())];
    assert_eq!((allowance.calls, allowance.calls_per_day), (1, 200));
    assert_eq!(allowance.talk_per_day, Duration::from_secs(1_800));
    assert!(allowance.international && !checked.outside.everybody.international);
}

#[test]
fn what_cannot_be_over_tls_is_told() {
    for (text, expected) in [
        (
            &format!("{TRUNK}transport = \"udp\"\nsips = true\n"),
            "`sips = true` is over TLS",
        ),
        (
            &format!("{TRUNK}transport = \"tls\"\n"),
            "`127.0.0.1:5070` cannot be reached",
        ),
        (
            &format!("{TRUNK}tls_name = \"no name\"\n"),
            "`no name` is no name and no address that a certificate could show",
        ),
    ] {
        let report = told(text);
        assert!(report.contains(expected), "{text}:\n{report}");
    }
}

#[test]
fn a_trunk_over_tls_has_a_port_a_name_and_authorities_of_its_own() {
    let switch = sample_text(File::Ringmaster).replace(
        "\"tcp:127.0.0.1:5060\"]",
        "\"tcp:127.0.0.1:5060\", \"tls:127.0.0.1:5061\"]",
    );
    let text = "[trunks.t]\nhost = \"127.0.0.9\"\ncaller = \"1\"\nsips = true\n\
                tls_name = \"sip.t.example\"\ntls_authorities = \"none.pem\"\n\
                tls_certificate = \"ours.pem\"\ntls_key = \"ours.key\"\ntls_verify = true\n";
    let checked = load_with(&[(File::Ringmaster, &switch), (File::Trunks, text)]).unwrap();
    let trunk = &checked.outside.trunks[&Account("t".into())];
    assert_eq!(trunk.hosts[0].transport, Some(Transport::Tls));
    assert_eq!(
        trunk.hosts[0].name,
        HostName::Address("127.0.0.9:5061".parse().unwrap())
    );
    assert_eq!(trunk.domain, "127.0.0.9");
    assert_eq!(trunk.tls_name.as_deref(), Some("sip.t.example"));
    assert!(trunk.tls_verify);
    let missing = checked.papers().unwrap_err().to_string();
    for file in ["none.pem", "ours.pem"] {
        assert!(
            missing.contains(&format!("{file}: No such file")),
            "{missing}"
        );
    }
    let udp = load_with(&[(File::Trunks, TRUNK)]).unwrap();
    assert!(udp.papers().is_ok(), "nobody is asked");
}

//! Subscriptions: RFC 6665 with the packages dialog, message-summary and reg.

use std::time::Duration;

use sip::endpoint::{Account, LegId, SubscriptionId};
use sip::header::Header;
use sip::{DialogState, Event, Initiator, Message, WatchedDialog};

use crate::bench::{Bench, describe, describe_all, settings, tcp};
use crate::phone::{Phone, SWITCH, value};

const DIALOG_NS: &str = "urn:ietf:params:xml:ns:dialog-info";
const REG_NS: &str = "urn:ietf:params:xml:ns:reginfo";

/// A subscription as its phone sees it.
struct Watch {
    phone: Phone,
    /// Contact of the switch.
    target: String,
    /// To of the phone's requests, with the tag of the switch.
    to: String,
    event: String,
}

fn lines(phone: &Phone, event: &str, expires: u32) -> Vec<String> {
    vec![
        format!("Event: {event}"),
        format!("Expires: {expires}"),
        format!("Contact: <{}>", phone.contact()),
    ]
}

/// SUBSCRIBE outside a dialog; gives what came after the 401.
fn ask(bench: &mut Bench, phone: &mut Phone, whom: &str, lines: &[String]) -> Vec<Message> {
    let uri = format!("sip:{whom}@{SWITCH}");
    phone.authorized(bench, "SUBSCRIBE", &uri, &format!("<{uri}>"), lines, "")
}

/// A phone of `user` watches `whom` for an hour; what is told first has been answered.
fn watch(bench: &mut Bench, user: &str, event: &str, whom: &str) -> Watch {
    let mut phone = Phone::new(user);
    phone.call_id = format!("{user}-{event}-{whom}");
    let lines = lines(&phone, event, 3600);
    let sent = ask(bench, &mut phone, whom, &lines);
    let granted = sent[0].clone();
    assert_eq!(describe(&granted), "200 OK (SUBSCRIBE)");
    let watch = Watch {
        phone,
        target: granted.contact().unwrap().uri.text().to_owned(),
        to: value(&granted, Header::To),
        event: event.to_owned(),
    };
    match sent.get(1) {
        Some(notify) => watch.take(bench, notify),
        None => {
            let notify = tell(bench, &[]);
            watch.take(bench, &notify);
        }
    }
    watch
}

impl Watch {
    fn refresh(&mut self, bench: &mut Bench, expires: u32) -> Vec<Message> {
        let lines = lines(&self.phone, &self.event, expires);
        let text = self
            .phone
            .write("SUBSCRIBE", &self.target, &self.to, &lines, "");
        self.phone.send(bench, &text);
        bench.take_sent()
    }

    fn respond(&self, bench: &mut Bench, notify: &Message, status: &str, lines: &[String]) {
        let text = self.phone.respond(notify, status, "", lines, "");
        self.phone.send(bench, &text);
    }

    fn take(&self, bench: &mut Bench, notify: &Message) {
        self.respond(bench, notify, "200 OK", &[]);
    }
}

/// Which subscription the owner is asked about, if it is.
fn due(bench: &mut Bench) -> Option<(SubscriptionId, Account)> {
    bench.take_events().into_iter().find_map(|event| {
        if let Event::NotificationDue {
            subscription,
            account,
        } = event
        {
            Some((subscription, account))
        } else {
            None
        }
    })
}

/// The owner answers; gives the NOTIFY.
fn tell(bench: &mut Bench, dialogs: &[WatchedDialog]) -> Message {
    let (subscription, _) = due(bench).expect("the owner is asked");
    bench.endpoint.notify(subscription, dialogs, bench.now);
    bench.drain();
    let notify = bench.only();
    assert_eq!(describe(&notify), "NOTIFY");
    notify
}

fn changed(bench: &mut Bench, user: &str) {
    bench
        .endpoint
        .dialogs_changed(&Account(user.into()), bench.now);
    bench.drain();
}

fn ringing(leg: u64, state: DialogState) -> WatchedDialog {
    WatchedDialog {
        leg: LegId(leg),
        initiator: Initiator::Other,
        state,
        held: false,
        yields: false,
        remote: Some("20&5".into()),
        remote_display: Some("Jo <\"J\">".into()),
    }
}

fn text(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

#[test]
fn a_subscription_begins_with_all_that_there_is() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("202");
    let lines = lines(&phone, "dialog;id=7", 3600);
    let sent = ask(&mut bench, &mut phone, "201", &lines);
    assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE)");
    assert_eq!(value(&sent[0], Header::Expires), "3600");
    let notify = tell(&mut bench, &[]);
    assert_eq!(value(&notify, Header::Event), "dialog;id=7");
    assert_eq!(
        value(&notify, Header::SubscriptionState),
        "active;expires=3600"
    );
    assert_eq!(
        value(&notify, Header::ContentType),
        "application/dialog-info+xml"
    );
    assert_eq!(notify.request_uri().unwrap(), phone.contact());
    let body = text(&notify);
    let document = roxmltree::Document::parse(&body).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name((DIALOG_NS, "dialog-info")));
    assert_eq!(root.attribute("version"), Some("0"));
    assert_eq!(root.attribute("state"), Some("full"));
    assert_eq!(root.attribute("entity"), Some("sip:201@127.0.0.1"));
    assert!(root.first_element_child().is_none());
}

#[test]
fn a_lamp_is_told_who_calls() {
    let mut bench = Bench::new();
    watch(&mut bench, "202", "dialog", "201");
    changed(&mut bench, "201");
    let notify = tell(&mut bench, &[ringing(4, DialogState::Early)]);
    let body = text(&notify);
    let document = roxmltree::Document::parse(&body).unwrap();
    assert_eq!(document.root_element().attribute("version"), Some("1"));
    let found = |name: &str| {
        let node = document
            .descendants()
            .find(|node| node.has_tag_name((DIALOG_NS, name)));
        node.unwrap_or_else(|| panic!("{name} in {body}"))
    };
    let dialog = found("dialog");
    assert_eq!(dialog.attribute("id"), Some("4"));
    assert_eq!(dialog.attribute("direction"), Some("recipient"));
    assert_eq!(
        dialog.attribute("call-id"),
        None,
        "whoever knows it may take the call"
    );
    assert_eq!(found("state").text(), Some("early"));
    let remote = found("remote").first_element_child().unwrap();
    assert_eq!(remote.attribute("display"), Some("Jo <\"J\">"));
    assert_eq!(remote.text(), Some("sip:20&5@127.0.0.1"));
    let local = found("local").first_element_child().unwrap();
    assert_eq!(local.text(), Some("sip:201@127.0.0.1"));
}

#[test]
fn a_lamp_is_told_of_a_call_until_its_end_and_of_that_once() {
    let mut bench = Bench::new();
    let watch = watch(&mut bench, "202", "dialog", "201");
    changed(&mut bench, "201");
    let mut dialog = ringing(4, DialogState::Trying);
    let notify = tell(&mut bench, &[dialog.clone()]);
    assert!(text(&notify).contains("<state>trying</state>"));
    watch.take(&mut bench, &notify);
    changed(&mut bench, "201");
    dialog.state = DialogState::Confirmed;
    dialog.held = true;
    dialog.remote = None;
    let notify = tell(&mut bench, &[dialog]);
    let body = text(&notify);
    for part in [
        "<state>confirmed</state>",
        "<param pname=\"+sip.rendering\" pvalue=\"no\"/>",
        "<identity display=\"Anonymous\">sip:anonymous@anonymous.invalid</identity>",
    ] {
        assert!(body.contains(part), "{body}");
    }
    watch.take(&mut bench, &notify);
    changed(&mut bench, "201");
    let notify = tell(&mut bench, &[]);
    let ended = "<dialog id=\"4\"><state>terminated</state></dialog>";
    assert!(text(&notify).contains(ended), "{}", text(&notify));
    watch.take(&mut bench, &notify);
    bench.advance(Duration::from_secs(10));
    changed(&mut bench, "201");
    let (subscription, _) = due(&mut bench).unwrap();
    bench.endpoint.notify(subscription, &[], bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "", "there is no news");
}

#[test]
fn what_cannot_be_granted_gets_its_status() {
    let mut bench = Bench::new();
    for (whom, change, answer, header) in [
        (
            "201",
            "Event: presence",
            "489 Bad Event (SUBSCRIBE)",
            Some((Header::AllowEvents, "dialog, message-summary, reg")),
        ),
        ("201", "Event:", "489 Bad Event (SUBSCRIBE)", None),
        (
            "201",
            "Expires: 59",
            "423 Interval Too Brief (SUBSCRIBE)",
            Some((Header::MinExpires, "60")),
        ),
        ("700", "X: y", "404 Not Found (SUBSCRIBE)", None),
        (
            "201",
            "Accept: application/pidf+xml",
            "406 Not Acceptable (SUBSCRIBE)",
            None,
        ),
        ("201", "Event: reg", "403 Forbidden (SUBSCRIBE)", None),
        (
            "201",
            "Event: message-summary",
            "403 Forbidden (SUBSCRIBE)",
            None,
        ),
    ] {
        let mut phone = Phone::new("202");
        phone.call_id = format!("{whom}-{change}").replace([' ', ':', '/'], "-");
        let name = change.split(':').next().unwrap();
        let mut lines = lines(&phone, "dialog", 3600);
        lines.retain(|line| !line.starts_with(name));
        lines.push(change.to_owned());
        let sent = ask(&mut bench, &mut phone, whom, &lines);
        assert_eq!(describe_all(&sent), answer, "{change}");
        if let Some((header, expected)) = header {
            assert_eq!(value(&sent[0], header), expected);
        }
    }
    let mut phone = Phone::new("202");
    phone.call_id = "nobody-to-notify".into();
    let sent = ask(&mut bench, &mut phone, "201", &["Event: dialog".into()]);
    assert_eq!(
        describe_all(&sent),
        "400 Bad Request (SUBSCRIBE)",
        "without a Contact"
    );
    let mut liar = Phone::new("202");
    liar.call_id = "liar".into();
    let lines = lines(&liar, "dialog", 3600);
    let uri = format!("sip:201@{SWITCH}");
    let text = liar.write("SUBSCRIBE", &uri, &format!("<{uri}>"), &lines, "");
    liar.send(&mut bench, &text);
    let mut authorized = lines.clone();
    authorized.push(liar.authorization(&bench.only(), "SUBSCRIBE", &uri, 1));
    let text = liar.write("SUBSCRIBE", &uri, &format!("<{uri}>"), &authorized, "");
    liar.send(&mut bench, &text.replace("<sip:202@", "<sip:203@"));
    assert_eq!(describe(&bench.only()), "403 Forbidden (SUBSCRIBE)");
    assert_eq!(bench.endpoint.subscriptions(), 0);
}

#[test]
fn a_phone_learns_that_no_message_waits() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let lines = lines(&phone, "message-summary", 600);
    let sent = ask(&mut bench, &mut phone, "201", &lines);
    assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE), NOTIFY");
    assert_eq!(
        value(&sent[1], Header::ContentType),
        "application/simple-message-summary"
    );
    assert_eq!(
        text(&sent[1]),
        "Messages-Waiting: no\r\nMessage-Account: sip:201@127.0.0.1\r\nVoice-Message: 0/0 (0/0)\r\n"
    );
}

#[test]
fn an_account_sees_its_bindings_come_and_go() {
    let mut bench = Bench::new();
    let watch = watch(&mut bench, "201", "reg", "201");
    let mut phone = Phone::at("201", tcp("127.0.0.9:40001"));
    let uri = format!("sip:{SWITCH}");
    let to = format!("<sip:201@{SWITCH}>");
    let contact = [format!("Contact: <{}>", phone.contact())];
    let sent = phone.authorized(&mut bench, "REGISTER", &uri, &to, &contact, "");
    assert_eq!(describe_all(&sent), "200 OK (REGISTER), NOTIFY");
    let notify = sent[1].clone();
    let body = text(&notify);
    let document = roxmltree::Document::parse(&body).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name((REG_NS, "reginfo")));
    assert_eq!(root.attribute("version"), Some("1"));
    let registration = root.first_element_child().unwrap();
    assert_eq!(registration.attribute("aor"), Some("sip:201@127.0.0.1"));
    assert_eq!(registration.attribute("state"), Some("active"));
    let contact = registration.first_element_child().unwrap();
    assert_eq!(contact.attribute("state"), Some("active"));
    assert_eq!(
        contact.first_element_child().unwrap().text(),
        Some(phone.contact().as_str())
    );
    watch.take(&mut bench, &notify);
    bench.endpoint.handle_flow_closed(phone.flow, bench.now);
    bench.drain();
    let notify = bench.only();
    assert!(
        text(&notify).contains("state=\"init\""),
        "{}",
        text(&notify)
    );
}

#[test]
fn a_subscription_is_refreshed_ended_and_expires() {
    let mut bench = Bench::new();
    let mut refreshed = watch(&mut bench, "202", "dialog", "201");
    bench.advance(Duration::from_secs(3000));
    assert_eq!(
        describe_all(&refreshed.refresh(&mut bench, 7200)),
        "200 OK (SUBSCRIBE)"
    );
    let notify = tell(&mut bench, &[]);
    assert_eq!(
        value(&notify, Header::SubscriptionState),
        "active;expires=3600",
        "no longer than an hour"
    );
    refreshed.take(&mut bench, &notify);
    assert_eq!(
        describe_all(&refreshed.refresh(&mut bench, 10)),
        "423 Interval Too Brief (SUBSCRIBE)"
    );
    bench.advance(Duration::from_secs(3600));
    let notify = tell(&mut bench, &[]);
    assert_eq!(
        value(&notify, Header::SubscriptionState),
        "terminated;reason=timeout"
    );
    assert_eq!(
        describe_all(&refreshed.refresh(&mut bench, 600)),
        "481 Call/Transaction Does Not Exist (SUBSCRIBE)"
    );
    refreshed.take(&mut bench, &notify);
    assert_eq!(bench.endpoint.subscriptions(), 0);

    let mut ended = watch(&mut bench, "203", "message-summary", "203");
    let sent = ended.refresh(&mut bench, 0);
    assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE), NOTIFY");
    assert_eq!(value(&sent[0], Header::Expires), "0");
    assert_eq!(
        value(&sent[1], Header::SubscriptionState),
        "terminated;reason=timeout"
    );
    ended.take(&mut bench, &sent[1]);
    assert_eq!(bench.endpoint.subscriptions(), 0);

    // Fetched once: Expires 0 outside a dialog.
    let mut phone = Phone::new("204");
    let lines = lines(&phone, "message-summary", 0);
    let sent = ask(&mut bench, &mut phone, "204", &lines);
    assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE), NOTIFY");
    let answer = phone.respond(&sent[1], "200 OK", "", &[], "");
    phone.send(&mut bench, &answer);
    assert_eq!(bench.endpoint.subscriptions(), 0);
    bench.advance(Duration::from_secs(60));
    assert!(bench.endpoint.poll_timeout().is_none());
}

#[test]
fn at_most_one_notification_is_under_way_and_the_latest_state_wins() {
    let mut bench = Bench::new();
    let watch = watch(&mut bench, "202", "dialog", "201");
    changed(&mut bench, "201");
    let first = tell(&mut bench, &[ringing(1, DialogState::Trying)]);
    for _ in 0..100 {
        changed(&mut bench, "201");
    }
    assert_eq!(due(&mut bench), None, "the phone has not answered yet");
    bench.advance(Duration::from_secs(2));
    assert_eq!(
        describe_all(&bench.take_sent()),
        "NOTIFY, NOTIFY",
        "the first one is sent again"
    );
    watch.take(&mut bench, &first);
    let second = tell(&mut bench, &[ringing(1, DialogState::Confirmed)]);
    assert!(text(&second).contains("confirmed"));
    watch.take(&mut bench, &second);
    assert_eq!(due(&mut bench), None);
}

#[test]
fn notifications_are_few_however_often_the_state_changes() {
    let mut bench = Bench::new();
    let watch = watch(&mut bench, "202", "dialog", "201");
    bench.advance(Duration::from_secs(60));
    let mut sent = 0;
    for step in 0..1_000 {
        bench.advance(Duration::from_millis(10));
        let state = [DialogState::Trying, DialogState::Early][step % 2];
        changed(&mut bench, "201");
        if let Some((subscription, _)) = due(&mut bench) {
            bench
                .endpoint
                .notify(subscription, &[ringing(1, state)], bench.now);
            bench.drain();
            for notify in bench.take_sent() {
                sent += 1;
                watch.take(&mut bench, &notify);
            }
        }
    }
    assert!((8..=14).contains(&sent), "{sent} in ten seconds");
}

#[test]
fn a_watcher_that_is_gone_is_forgotten() {
    for status in ["481 Gone", "404 Not Found", "503 Not now"] {
        let mut bench = Bench::new();
        let watch = watch(&mut bench, "202", "dialog", "201");
        changed(&mut bench, "201");
        let notify = tell(&mut bench, &[ringing(1, DialogState::Early)]);
        watch.respond(&mut bench, &notify, status, &[]);
        assert_eq!(bench.endpoint.subscriptions(), 0, "{status}");
    }
    // Nobody answers at all.
    let mut bench = Bench::new();
    watch(&mut bench, "202", "dialog", "201");
    changed(&mut bench, "201");
    tell(&mut bench, &[ringing(1, DialogState::Early)]);
    bench.advance(Duration::from_secs(33));
    bench.take_sent();
    assert_eq!(bench.endpoint.subscriptions(), 0);
    assert!(bench.endpoint.poll_timeout().is_none());
    // Busy for a moment.
    let watch = watch(&mut bench, "202", "dialog", "201");
    bench.advance(Duration::from_secs(10));
    changed(&mut bench, "201");
    let notify = tell(&mut bench, &[ringing(1, DialogState::Early)]);
    watch.respond(&mut bench, &notify, "500 Later", &["Retry-After: 5".into()]);
    assert_eq!(due(&mut bench), None);
    bench.advance(Duration::from_secs(5));
    tell(&mut bench, &[ringing(1, DialogState::Confirmed)]);
}

#[test]
fn who_is_no_longer_an_account_watches_nobody_and_is_watched_by_nobody() {
    let mut bench = Bench::new();
    let lost = watch(&mut bench, "202", "dialog", "201");
    let orphan = watch(&mut bench, "203", "dialog", "202");
    let mut fewer = settings();
    fewer.accounts.remove(&Account("202".into()));
    bench.endpoint.configure(fewer, bench.now);
    bench.drain();
    let sent = bench.take_sent();
    let states: Vec<String> = sent
        .iter()
        .map(|notify| value(notify, Header::SubscriptionState))
        .collect();
    assert_eq!(
        states,
        ["terminated;reason=rejected", "terminated;reason=noresource"]
    );
    assert!(sent.iter().all(|notify| notify.body().is_empty()));
    lost.take(&mut bench, &sent[0]);
    orphan.take(&mut bench, &sent[1]);
    assert_eq!(bench.endpoint.subscriptions(), 0);
}

#[test]
fn an_account_has_so_many_subscriptions_and_a_restarted_phone_takes_its_own_places() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("202");
    let subscribe = |bench: &mut Bench, phone: &mut Phone, n: usize, key: &str| {
        phone.call_id = format!("try-{n}");
        let lines = lines(phone, &format!("dialog;id={key}"), 3600);
        let sent = ask(bench, phone, "201", &lines);
        bench.take_events();
        sent
    };
    for n in 0..256 {
        let sent = subscribe(&mut bench, &mut phone, n, &n.to_string());
        assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE)");
    }
    let sent = subscribe(&mut bench, &mut phone, 1_000, "another");
    assert_eq!(describe_all(&sent), "403 Forbidden (SUBSCRIBE)");
    assert!(value(&sent[0], Header::Warning).contains("too many subscriptions"));
    let sent = subscribe(&mut bench, &mut phone, 1_001, "17");
    assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE)");
    assert_eq!(bench.endpoint.subscriptions(), 256);
}

#[test]
fn a_phone_that_registers_over_a_new_flow_is_notified_there() {
    let mut bench = Bench::new();
    let old = tcp("127.0.0.9:40001");
    let mut phone = Phone::at("202", old);
    phone.register(&mut bench);
    let lines = lines(&phone, "dialog", 3600);
    ask(&mut bench, &mut phone, "201", &lines);
    let notify = tell(&mut bench, &[]);
    let answer = phone.respond(&notify, "200 OK", "", &[], "");
    phone.send(&mut bench, &answer);
    bench.endpoint.handle_flow_closed(old, bench.now);
    phone.flow = tcp("127.0.0.9:40002");
    phone.call_id = "again".into();
    phone.register(&mut bench);
    bench.take_events();
    changed(&mut bench, "201");
    let (subscription, _) = due(&mut bench).unwrap();
    bench
        .endpoint
        .notify(subscription, &[ringing(1, DialogState::Early)], bench.now);
    bench.drain();
    assert_eq!(bench.sent[0].0, phone.flow);
}

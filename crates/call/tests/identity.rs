//! Who is told who is calling, over trunks (RFC 3323, RFC 3325).

use crate::scene::{SECOND, dial, rings};
use crate::trunks::{site, trunk, world};
use call::trunk::{Caller, Shown};

const NUMBER: Option<&str> = Some("<sip:4930700@provider.example>");
const NOBODY: Option<&str> = Some("\"Anonymous\" <sip:anonymous@anonymous.invalid>");

/// What a trunk is to be told of a caller: From without its tag, P-Asserted-Identity, P-Preferred-Identity, Privacy.
type Told = [Option<&'static str>; 4];

/// A caller, who also asserts something, calls out over a trunk that is set so; what is the trunk told?
fn assert_told(identity: Shown, caller: Caller, trusted: bool, private: bool, expected: Told) {
    let mut set = trunk(&[0]);
    (set.identity, set.caller, set.trusted) = (identity, caller, trusted);
    let (mut world, provider) = world(site(&[("provider", set)]));
    let alice = world.registered("205");
    world[alice].private = private;
    world[alice].asserts = Some("\"The boss\" <sip:4930999@provider.example>".into());
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    let value = |name| world[provider].invited_with(name);
    let from = value("From").and_then(|from| from.split(";tag=").next());
    let [asserted, preferred, privacy] =
        ["P-Asserted-Identity", "P-Preferred-Identity", "Privacy"].map(value);
    let told = [from, asserted, preferred, privacy];
    assert_eq!(told, expected, "{identity:?} {trusted} {private}");
}

fn fixed() -> Caller {
    Caller::Fixed("4930700".into())
}

#[test]
fn a_trunk_is_told_who_is_calling_where_it_wants_to_be() {
    for (identity, told) in [
        (Shown::From, [NUMBER, None, None, None]),
        (Shown::Asserted, [NUMBER, NUMBER, None, None]),
        (Shown::Preferred, [NUMBER, None, NUMBER, None]),
    ] {
        assert_told(identity, fixed(), false, false, told);
    }
}

#[test]
fn who_wants_to_stay_unknown_is_told_to_those_alone_who_keep_it_to_themselves() {
    let id = Some("id");
    for (identity, trusted, told) in [
        (Shown::From, true, [NOBODY, None, None, id]),
        (Shown::Asserted, false, [NOBODY, None, None, id]),
        (Shown::Asserted, true, [NOBODY, NUMBER, None, id]),
        (Shown::Preferred, false, [NOBODY, None, NUMBER, id]),
    ] {
        assert_told(identity, fixed(), trusted, true, told);
    }
    let nobody = [NOBODY, None, None, id];
    assert_told(Shown::Asserted, Caller::Anonymous, true, false, nobody);
}

#[test]
fn only_a_trusted_trunk_is_believed_who_is_calling() {
    let asserted = "\"Carol\" <sip:4915799@provider.example>, <tel:+4915799>";
    for (trusted, private, shown) in [
        (false, false, "<sip:4915712345@192.0.2.1>"),
        (true, false, "\"Carol\" <sip:4915799@192.0.2.1>"),
        (
            true,
            true,
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
        ),
    ] {
        let mut set = trunk(&[0]);
        set.trusted = trusted;
        let (mut world, provider) = world(site(&[("provider", set)]));
        let alice = world.registered("205");
        world[provider].account = "4915712345".into();
        world[provider].asserts = Some(asserted.into());
        world[provider].private = private;
        dial(&mut world, provider, "4930205");
        world.run(SECOND);
        assert!(rings(&world, alice));
        let from = world[alice].invited_with("From").unwrap_or_default();
        assert_eq!(from.split(";tag=").next(), Some(shown));
        assert_eq!(world[alice].invited_with("P-Asserted-Identity"), None);
        world.act(provider, |phone, now| phone.hang_up(now));
        world.run(SECOND);
        let caller = if trusted { "4915799" } else { "4915712345" };
        assert_eq!(
            world.records[0].caller, caller,
            "the record tells it in any case"
        );
    }
}

//! Where a call goes first, and where it goes on when a queue lets it go.

use sip::endpoint::Status;

use super::{Calling, Conferring, Greeting, Releasing, Service, State, Supervising};
use crate::body::Body;
use crate::effects::Effects;
use crate::order::Target;
use crate::settings::Destination;
use crate::{Cause, Party};

/// The first state of a call: what was dialled leads somewhere, or the call is refused.
pub(crate) fn route(body: &mut Body, fx: &mut Effects<'_>) -> State {
    let dialled = body.draft.dialled().to_owned();
    if body.is_over_trunk_limit(fx) {
        return Releasing::enter(Cause::TrunkFull, Party::Switch, body, fx);
    }
    // Who calls from outside reaches what the trunk's own table says, and nothing else.
    match fx.trunk_destination(&body.caller_account, &dialled) {
        Some(Some(destination)) => arrive(destination, body, fx),
        Some(None) => unknown(body, fx),
        None => lead_to(&dialled, body, fx),
    }
}

/// The caller leaves a queue for another number; without one the call ends for this cause.
pub(crate) fn route_onward(
    number: Option<&str>,
    cause: Cause,
    body: &mut Body,
    fx: &mut Effects<'_>,
) -> State {
    let Some(number) = number else {
        return Releasing::enter(cause, Party::Switch, body, fx);
    };
    if !body.redirected() {
        return Releasing::enter(Cause::Loop, Party::Switch, body, fx);
    }
    lead_to(number, body, fx)
}

/// Somebody leads the caller elsewhere.
pub(crate) fn lead_onward(target: &Target, body: &mut Body, fx: &mut Effects<'_>) -> State {
    if !body.redirected() {
        return Releasing::enter(Cause::Loop, Party::Switch, body, fx);
    }
    match target {
        Target::Number(number) => lead_to(number, body, fx),
        Target::Queue(queue) => Greeting::enter(queue.clone().into(), body, fx),
        Target::Phone(account) => Calling::enter(account, body, fx),
        Target::Agent(agent) => match (fx.number_of(agent), fx.phone_of(agent)) {
            (Some(number), _) => Calling::enter_outside(&number, body, fx),
            (None, Some(account)) => Calling::enter(&account, body, fx),
            (None, None) => unknown(body, fx),
        },
    }
}

/// The caller goes where a number leads.
pub(crate) fn lead_to(number: &str, body: &mut Body, fx: &mut Effects<'_>) -> State {
    if let Some((account, supervision)) = fx.supervised(number) {
        return Supervising::enter(account, supervision, body, fx);
    }
    match fx.destination(number) {
        Some(destination) => arrive(destination, body, fx),
        None if fx.leads_outside(number) => Calling::enter_outside(number, body, fx),
        None => unknown(body, fx),
    }
}

fn unknown(body: &mut Body, fx: &mut Effects<'_>) -> State {
    Releasing::refuse(Cause::UnknownNumber, Status(404), Party::Switch, body, fx)
}

fn arrive(destination: Destination, body: &mut Body, fx: &mut Effects<'_>) -> State {
    match destination {
        Destination::Phone(account) => Calling::enter(&account, body, fx),
        Destination::Queue(entrance) => Greeting::enter(entrance, body, fx),
        Destination::Group(group) => Calling::enter_group(&group, body, fx),
        Destination::Conference(conference) => Conferring::enter(conference, body, fx),
        Destination::Echo => Service::echo(body, fx),
        Destination::Music => Service::music(body, fx),
        Destination::SetStatus(status) => Service::set_status(&status, body, fx),
        Destination::Ready => Service::ready(body, fx),
        // The phone is missing (RFC 3261 section 21.4.22).
        Destination::Supervise(_) => {
            Releasing::refuse(Cause::UnknownNumber, Status(484), Party::Switch, body, fx)
        }
    }
}

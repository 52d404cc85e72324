//! Phones that do anything at any time over a bad network, while the configuration changes: nothing may break or stay.

use std::time::Duration;

use call::Settings;
use media::g711::Law;
use queue::{AgentId, State, Status, Strategy};
use sip::Transport;
use testkit::{Access, Behaviour, Chance, Offer, PhoneId, PhoneState, Site, World};

use crate::records::assert_plausible;
use crate::scene::SECOND;

const ACTIONS: usize = 400;
const NUMBERS: [&str; 10] = [
    "700", "700", "700", "202", "203", "205", "206", "600", "*45", "*46",
];
const STATUSES: [u16; 8] = [302, 404, 480, 486, 488, 500, 503, 603];
const OFFERS: [Offer; 8] = [
    Offer::Direction("sendrecv"),
    Offer::Direction("sendonly"),
    Offer::Direction("inactive"),
    Offer::Codec(Law::Mu),
    Offer::Codec(Law::A),
    Offer::Unknown,
    Offer::Late("sendrecv"),
    Offer::Late("sendonly"),
];

fn site() -> Site {
    let mut site = Site::sample();
    site.service().exit_key = Some(('0', Some("205".to_owned())));
    site.service().timeout_transfer_dst = Some("601".to_owned());
    site.queue().max_wait_time = Some(60 * SECOND);
    site.queue().capacity = 3;
    site.each_agent(|agent| agent.wrap_up_time = Some(2 * SECOND));
    site.settings.max_calls = 8;
    site
}

/// Configurations to change between.
fn plans() -> [Settings; 4] {
    let mut ring_all = site();
    ring_all.queue().strategy = Strategy::RingAll;
    ring_all.service().start_sound = None;
    let mut few = site();
    few.settings.plan.agents.truncate(1);
    few.settings.agents.retain(|id, _| *id.0 == *"201");
    few.settings
        .agents
        .insert(AgentId("201".into()), sip::endpoint::Account("202".into()));
    let mut none = site();
    none.settings.plan.queues.clear();
    none.settings.queues.clear();
    none.settings.numbers.remove("700");
    [site(), ring_all, few, none].map(|site| site.settings)
}

fn begin(seed: u64) -> (World, Vec<PhoneId>) {
    let mut world = World::with_ports(site(), 9);
    let mut phones = Vec::new();
    for (n, account) in [201, 202, 203, 204, 205, 206, 207, 208, 201, 202, 205]
        .into_iter()
        .enumerate()
    {
        let access = [Access::UDP, Access::TCP, Access::UDP6, Access::UDP][n % 4];
        phones.push(world.registered_with(&account.to_string(), access));
    }
    world.watch(|world| {
        let load = world.exchange.load();
        let mut offers = 0;
        for (agent, status, state) in world.exchange.queues().agents() {
            if let State::Offered(_) = state {
                offers += 1;
                assert_eq!(status, Some(&Status::Available), "{agent:?}");
            }
        }
        assert_eq!(load.offers, offers);
        assert_eq!(load.callers, load.tickets);
        assert_eq!(world.exchange.panics(), 0);
    });
    world.worsen_network(10, 50, seed);
    (world, phones)
}

fn act(world: &mut World, phone: PhoneId, chance: &mut Chance) {
    let pick = chance.below(100) as usize;
    let state = world[phone].state();
    match chance.below(16) {
        0..=3 if state == PhoneState::Idle => {
            let number = NUMBERS[pick % NUMBERS.len()];
            world.act(phone, |phone, now| phone.dial(number, now));
        }
        0..=3 if state == PhoneState::Ringing => world.act(phone, |phone, now| phone.answer(now)),
        4 if state == PhoneState::Ringing => {
            let status = STATUSES[pick % STATUSES.len()];
            world.act(phone, |phone, now| phone.refuse(status, now));
        }
        5 | 6 => world.act(phone, |phone, now| phone.hang_up(now)),
        7 | 8 if state == PhoneState::Talking => {
            let offer = OFFERS[pick % OFFERS.len()];
            world.act(phone, |phone, now| phone.reinvite(offer, now));
        }
        9 => world.press(phone, if pick < 50 { '0' } else { '5' }),
        10 => {
            let seconds = [0, 60, 3_600, 3_600][pick % 4];
            world.act(phone, |phone, now| phone.register(seconds, now));
        }
        11 if pick < 10 => world.act(phone, |phone, now| phone.unregister_all(now)),
        11 if world[phone].access.transport == Transport::Tcp => world.disconnect(phone),
        12 => {
            world[phone].behaviour = match pick % 4 {
                0 => Behaviour::AnswerAfter(chance.millis(0, 3_000)),
                1 => Behaviour::RefuseAfter(chance.millis(0, 3_000), STATUSES[pick % 8]),
                2 => Behaviour::Dead,
                _ => Behaviour::Ring,
            };
        }
        13 => {
            world[phone].late_offer = pick.is_multiple_of(4);
            world[phone].acknowledges = !pick.is_multiple_of(5);
            world[phone].late_answer = !pick.is_multiple_of(7);
            world[phone].speaks_unknown_codecs = pick.is_multiple_of(11);
            world[phone].answers = ["sendrecv", "sendonly", "inactive"][pick % 3];
        }
        14 => world[phone].alive = pick < 70,
        15 if pick < 20 => {
            let plan = plans()[pick % 4].clone();
            world.control(|exchange, now| exchange.configure(plan, now));
        }
        15 if pick == 99 => world.control(|exchange, now| exchange.hang_up_all(now)),
        _ => {}
    }
}

#[test]
fn whatever_phones_do_nothing_breaks_and_nothing_stays() {
    for seed in 0..12 {
        let mut chance = Chance::new(seed);
        let (mut world, phones) = begin(seed);
        for _ in 0..ACTIONS {
            let phone = phones[chance.below(phones.len() as u64) as usize];
            act(&mut world, phone, &mut chance);
            world.run(chance.millis(0, 1_500));
        }
        for phone in &phones {
            world.act(*phone, |phone, now| phone.hang_up(now));
        }
        // A dead phone that held the call counts as silent after half an hour.
        world.run(Duration::from_secs(2_000));
        world.assert_at_rest();
        world.records.iter().for_each(assert_plausible);
        assert!(world.records.len() > 20, "seed {seed}");
    }
}

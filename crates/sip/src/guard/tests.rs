#![expect(
    clippy::disallowed_methods,
    reason = "the tests need some moment to start from"
)]

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// A guard and its clock.
struct Gate {
    guard: Guard,
    now: Instant,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn account(name: &str) -> Account {
    Account(name.into())
}

impl Gate {
    fn new() -> Self {
        Self::with(Defence::default())
    }

    fn with(defence: Defence) -> Self {
        let now = Instant::now();
        Self {
            guard: Guard::new(defence, now),
            now,
        }
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
    }

    fn admits(&mut self, from: &str) -> bool {
        self.guard.admit(address(from), true, self.now) == Admission::Admitted
    }

    fn fails(&mut self, name: Option<&str>, from: &str) -> Option<Ban> {
        let account = name.map(account);
        self.guard.failed(account.as_ref(), address(from), self.now)
    }

    /// As many wrong passwords as it takes; gives the time of the ban.
    fn fails_until_banned(&mut self, from: &str) -> Option<Duration> {
        (0..5)
            .find_map(|_| self.fails(None, from))
            .map(|ban| ban.time)
    }

    /// The length of the answer to a datagram of `request` octets, of these possible ones.
    fn answers(&mut self, from: &str, request: usize, lengths: &[usize]) -> Option<usize> {
        let answers = lengths
            .iter()
            .map(|length| Bytes::from(vec![b'x'; *length]));
        let answer = self.guard.fair_answer(address(from), request, answers)?;
        Some(answer.len())
    }

    fn may_try(&self, name: &str, from: &str) -> bool {
        self.guard.may_try(&account(name), address(from), self.now)
    }

    fn proves(&mut self, name: &str, from: &str) {
        self.guard.proved(&account(name), address(from), self.now);
    }
}

const STRANGER: &str = "203.0.113.9";
const OFFICE: &str = "192.0.2.1";

#[test]
fn five_wrong_passwords_within_a_minute_ban_an_address_for_five_minutes() {
    let mut gate = Gate::new();
    for _ in 0..4 {
        assert_eq!(gate.fails(None, STRANGER), None);
        gate.advance(Duration::from_secs(14));
    }
    assert!(gate.admits(STRANGER));
    let ban = gate.fails(None, STRANGER).unwrap();
    assert_eq!(
        (ban.address, ban.time),
        (address(STRANGER), Duration::from_secs(300))
    );
    assert!(!gate.admits(STRANGER) && gate.admits("203.0.113.10"));
    gate.advance(Duration::from_secs(299));
    assert!(!gate.admits(STRANGER));
    gate.advance(Duration::from_secs(1));
    assert!(gate.admits(STRANGER));
}

#[test]
fn four_wrong_passwords_a_minute_ban_nobody() {
    let mut gate = Gate::new();
    for _ in 0..100 {
        assert_eq!(gate.fails(None, STRANGER), None);
        gate.advance(Duration::from_secs(15));
    }
}

#[test]
fn each_further_ban_lasts_twice_as_long_up_to_a_day_and_a_quiet_day_forgives() {
    let mut gate = Gate::new();
    let mut times = Vec::new();
    for _ in 0..11 {
        let time = gate.fails_until_banned(STRANGER).unwrap();
        times.push(time.as_secs() / 60);
        gate.advance(time);
    }
    assert_eq!(times, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
    gate.advance(24 * HOUR);
    assert_eq!(
        gate.fails_until_banned(STRANGER),
        Some(Duration::from_secs(300))
    );
}

#[test]
fn an_ipv6_network_is_banned_as_a_whole() {
    let mut gate = Gate::new();
    for host in 1..=5 {
        gate.fails(None, &format!("2001:db8::{host}"));
    }
    assert!(!gate.admits("2001:db8::77") && gate.admits("2001:db8:0:1::77"));
}

#[test]
fn who_shares_an_address_with_a_guesser_goes_on_and_the_guesser_learns_nothing() {
    let mut gate = Gate::new();
    gate.proves("201", OFFICE);
    let ban = (0..5)
        .find_map(|_| gate.fails(Some("202"), OFFICE))
        .unwrap();
    assert!(ban.spares_known);
    assert!(gate.admits(OFFICE), "it is answered as before");
    assert!(gate.may_try("201", OFFICE));
    assert!(
        !gate.may_try("202", OFFICE),
        "even the right password is none"
    );
    gate.advance(Duration::from_secs(300));
    assert!(gate.may_try("202", OFFICE));
}

#[test]
fn an_account_is_guessed_twenty_times_an_hour_by_however_many_addresses() {
    let mut gate = Gate::new();
    gate.proves("201", OFFICE);
    let mut tried = 0;
    // 100 addresses, each below its own limit, for an hour.
    for round in 0..36 {
        for host in 0..100 {
            let from = format!("198.51.100.{host}");
            if gate.may_try("201", &from) {
                tried += 1;
                gate.fails(Some("201"), &from);
            }
            if round % 36 == 0 && host == 50 {
                assert!(
                    gate.may_try("201", OFFICE),
                    "the true phone is not locked out"
                );
            }
        }
        gate.advance(HOUR / 36);
    }
    assert!((15..=20).contains(&tried), "{tried}");
    gate.advance(HOUR);
    assert!(gate.may_try("201", "198.51.100.7"));
}

#[test]
fn guesses_from_the_accounts_own_address_are_bounded_too() {
    let mut gate = Gate::new();
    gate.proves("201", OFFICE);
    let tried = (0..100)
        .filter(|_| {
            let may = gate.may_try("201", OFFICE);
            gate.fails(Some("201"), OFFICE);
            may
        })
        .count();
    assert!(tried <= 10, "{tried}");
}

#[test]
fn an_address_may_ask_a_thousand_times_at_once_and_a_hundred_times_a_second() {
    let mut gate = Gate::new();
    let admitted = |gate: &mut Gate| (0..5_000).filter(|_| gate.admits(STRANGER)).count();
    assert_eq!(admitted(&mut gate), 1_000);
    gate.advance(Duration::from_secs(1));
    assert_eq!(admitted(&mut gate), 100);
    gate.proves("201", STRANGER);
    assert_eq!(admitted(&mut gate), 1_000);
}

#[test]
fn an_office_of_200_phones_behind_one_address_never_meets_a_limit() {
    let mut gate = Gate::new();
    // The power comes back: each phone asks, is challenged, and proves itself; some ask three times before.
    for phone in 0..200 {
        for _ in 0..3 {
            assert!(gate.admits(OFFICE), "{phone}");
        }
    }
    for phone in 0..200 {
        assert!(gate.admits(OFFICE));
        gate.proves(&phone.to_string(), OFFICE);
    }
}

#[test]
fn requests_in_dialogs_cost_nothing() {
    let mut gate = Gate::new();
    for _ in 0..10_000 {
        assert!(gate.admits(STRANGER));
        gate.guard.belongs(address(STRANGER));
    }
}

#[test]
fn answers_to_the_unproven_are_at_most_a_fifth_longer_than_what_they_answer() {
    let mut gate = Gate::new();
    let (mut asked, mut answered) = (0, 0);
    for round in 0..1_000 {
        gate.admits(STRANGER);
        let (question, answer) = (200 + round % 7, 600 - round % 13);
        asked += question;
        answered += gate.answers(STRANGER, question, &[answer]).unwrap_or(0);
        assert!(answered * 10 <= asked * 12, "{answered} for {asked}");
    }
    assert!(answered * 10 > asked * 11, "{answered} for {asked}");
    // What is short enough goes on for ever.
    for _ in 0..1_000 {
        assert_eq!(gate.answers("203.0.113.10", 500, &[600]), Some(600));
    }
}

#[test]
fn a_phone_whose_request_is_too_short_for_its_answer_gets_it_when_it_repeats_it() {
    let mut gate = Gate::new();
    assert_eq!(gate.answers(STRANGER, 300, &[500]), None);
    gate.advance(Duration::from_millis(500));
    gate.admits(STRANGER);
    assert_eq!(gate.answers(STRANGER, 300, &[500]), Some(500));
    // A shorter answer that will do is given at once, and one that is known waits for nothing.
    assert_eq!(gate.answers("203.0.113.10", 300, &[500, 350]), Some(350));
    gate.proves("201", OFFICE);
    assert_eq!(gate.answers(OFFICE, 300, &[500]), Some(500));
}

#[test]
fn silence_saves_up_no_more_than_a_few_answers() {
    let mut gate = Gate::new();
    for _ in 0..1_000 {
        assert_eq!(gate.answers(STRANGER, 300, &[]), None);
    }
    let answers = (0..1_000).filter(|_| gate.answers(STRANGER, 0, &[500]).is_some());
    assert_eq!(answers.count(), 8);
}

#[test]
fn trusted_networks_meet_no_limit() {
    let mut gate = Gate::with(Defence {
        trusted: vec!["203.0.113.0/24".parse().unwrap()],
        ..Defence::default()
    });
    for _ in 0..2_000 {
        assert!(gate.admits(STRANGER));
        assert_eq!(gate.fails(Some("201"), STRANGER), None);
        assert_eq!(gate.answers(STRANGER, 1, &[1_000]), Some(1_000));
    }
    assert!(gate.may_try("201", STRANGER) && gate.guard.sources.is_empty());
}

#[test]
fn a_reload_lifts_bans_and_forgets_accounts_that_are_gone() {
    let mut gate = Gate::new();
    gate.proves("201", OFFICE);
    gate.proves("202", OFFICE);
    gate.fails_until_banned(STRANGER);
    for _ in 0..20 {
        gate.fails(Some("201"), STRANGER);
    }
    assert!(!gate.admits(STRANGER) && !gate.may_try("201", "198.51.100.1"));
    gate.guard
        .configure(Defence::default(), |account| *account.0 == *"201");
    assert!(gate.admits(STRANGER) && gate.may_try("201", "198.51.100.1"));
    assert_eq!(gate.guard.homes.len(), 1);
    assert_eq!(
        gate.guard.sources[&Source::of(address(OFFICE))].residents,
        1
    );
}

#[test]
fn an_account_lives_at_the_four_addresses_that_it_used_last() {
    let mut gate = Gate::new();
    for host in 1..=5 {
        gate.proves("201", &format!("192.0.2.{host}"));
    }
    let residents = |gate: &Gate, host: u8| {
        gate.guard.sources[&Source::of(address(&format!("192.0.2.{host}")))].residents
    };
    assert_eq!(
        [1, 2, 3, 4, 5].map(|host| residents(&gate, host)),
        [0, 1, 1, 1, 1]
    );
    gate.proves("201", "192.0.2.2");
    gate.proves("201", "192.0.2.6");
    assert_eq!([2, 3, 6].map(|host| residents(&gate, host)), [1, 0, 1]);
}

#[test]
fn the_table_is_bounded_and_keeps_bans_and_homes_before_others() {
    let mut gate = Gate::new();
    gate.proves("201", OFFICE);
    gate.fails_until_banned(STRANGER);
    for number in 0..100_000u32 {
        let forged = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        gate.guard.admit(forged, true, gate.now);
    }
    assert!(gate.guard.sources.len() <= MAX_SOURCES);
    assert!(!gate.admits(STRANGER));
    assert_eq!(
        gate.guard.sources[&Source::of(address(OFFICE))].residents,
        1
    );
    // Later all of them are worth nothing, and leave as others come.
    gate.advance(2 * HOUR);
    for number in 0..30_000u32 {
        gate.advance(Duration::from_millis(100));
        gate.admits(&IpAddr::from((0x0b00_0000 + number).to_be_bytes()).to_string());
    }
    assert!(
        gate.guard.sources.len() < 1_000,
        "{}",
        gate.guard.sources.len()
    );
}

#[test]
fn a_flood_of_bans_is_told_in_a_few_lines_a_second_and_counted() {
    let mut gate = Gate::new();
    let told: Vec<Ban> = (0..100)
        .flat_map(|host| {
            let from = format!("198.51.100.{host}");
            (0..5)
                .filter_map(|_| gate.fails(None, &from))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(told.len(), 4);
    gate.advance(Duration::from_secs(1));
    let next = (0..5).find_map(|_| gate.fails(None, STRANGER)).unwrap();
    assert_eq!(next.untold, 96);
}

use super::*;
use crate::digest::answer;
use crate::guard::Defence;

const URI: &str = "sip:127.0.0.1";

struct Bench {
    authenticator: Authenticator,
    peer: IpAddr,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::offering(&[Algorithm::Sha256, Algorithm::Md5])
    }

    fn offering(digests: &[Algorithm]) -> Self {
        let settings = Settings {
            realm: "ringmaster".into(),
            digests: digests.to_vec(),
            accounts: BTreeMap::from([(Account("201".into()), "secret".into())]),
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
            session_expires: Duration::from_secs(1800),
            product: "Ringmaster".into(),
            defence: Defence::default(),
            nat: crate::nat::Nat::default(),
        };
        let now = Instant::now();
        Self {
            authenticator: Authenticator::new(&settings, &[3; 32], now),
            peer: [192, 0, 2, 1].into(),
            now,
        }
    }

    fn challenges(&mut self) -> [String; 2] {
        let [first, second] = self.all().try_into().unwrap();
        [first, second]
    }

    fn all(&mut self) -> Vec<String> {
        self.authenticator
            .challenge(false, false, self.peer, self.now)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn check(&mut self, authorization: &str) -> Verdict {
        self.authenticator.check(
            Credentials::parse(authorization).into_iter(),
            "REGISTER",
            |uri| uri == URI,
            self.peer,
            self.now,
        )
    }
}

fn respond(challenge: &str, user: &str, password: &str, nc: u32) -> String {
    answer(challenge, "REGISTER", URI, user, password, nc, "0a4f113b").unwrap()
}

fn authentic() -> Verdict {
    Verdict::Authentic(Account("201".into()))
}

#[test]
fn both_algorithms_are_offered_the_better_first_and_both_are_taken() {
    let mut bench = Bench::new();
    let [first, second] = bench.challenges();
    assert!(first.contains("algorithm=SHA-256") && second.contains("algorithm=MD5"));
    assert_eq!(
        bench.check(&respond(&first, "201", "secret", 1)),
        authentic()
    );
    assert_eq!(
        bench.check(&respond(&second, "201", "secret", 2)),
        authentic()
    );
}

#[test]
fn an_algorithm_that_is_not_offered_is_not_taken() {
    let [_, md5] = Bench::new().challenges();
    let mut strict = Bench::offering(&[Algorithm::Sha256]);
    let again = Verdict::Challenge { stale: false };
    assert_eq!(strict.check(&respond(&md5, "201", "secret", 1)), again);
    let mut old = Bench::offering(&[Algorithm::Md5]);
    let challenges = old.all();
    assert_eq!(challenges.len(), 1, "{challenges:?}");
    assert_eq!(
        old.check(&respond(&challenges[0], "201", "secret", 1)),
        authentic()
    );
}

#[test]
fn an_unknown_account_fails_as_a_wrong_password_does() {
    let mut bench = Bench::new();
    let [challenge, _] = bench.challenges();
    let wrong = |account: Option<&str>| Verdict::Wrong(account.map(|name| Account(name.into())));
    assert_eq!(
        bench.check(&respond(&challenge, "201", "wrong", 1)),
        wrong(Some("201"))
    );
    assert_eq!(
        bench.check(&respond(&challenge, "999", "secret", 1)),
        wrong(None)
    );
}

#[test]
fn an_answer_serves_once() {
    let mut bench = Bench::new();
    let [challenge, _] = bench.challenges();
    let answer = respond(&challenge, "201", "secret", 1);
    assert_eq!(bench.check(&answer), authentic());
    assert_eq!(bench.check(&answer), Verdict::Challenge { stale: true });
    assert_eq!(
        bench.check(&respond(&challenge, "201", "secret", 2)),
        authentic()
    );
}

#[test]
fn a_nonce_is_stale_after_its_life_and_before_its_birth() {
    let mut bench = Bench::new();
    bench.now += Duration::from_secs(1);
    let [challenge, _] = bench.challenges();
    let born = bench.now;
    bench.now = born + NONCE_LIFE;
    assert_eq!(
        bench.check(&respond(&challenge, "201", "secret", 1)),
        authentic()
    );
    bench.now += Duration::from_millis(1);
    let stale = Verdict::Challenge { stale: true };
    assert_eq!(bench.check(&respond(&challenge, "201", "secret", 2)), stale);
    bench.now = born - Duration::from_millis(1);
    assert_eq!(bench.check(&respond(&challenge, "201", "secret", 2)), stale);
}

#[test]
fn a_nonce_of_another_start_is_stale_only_for_who_knows_the_password() {
    let mut bench = Bench::new();
    let foreign =
        r#"Digest realm="ringmaster", nonce="00000000000000000000000000000000", qop="auth""#;
    let stale = Verdict::Challenge { stale: true };
    assert_eq!(bench.check(&respond(foreign, "201", "secret", 1)), stale);
    let wrong = Verdict::Wrong(Some(Account("201".into())));
    assert_eq!(bench.check(&respond(foreign, "201", "wrong", 1)), wrong);
}

#[test]
fn credentials_without_qop_or_for_another_uri_or_realm_are_refused() {
    let mut bench = Bench::new();
    let [challenge, _] = bench.challenges();
    let again = Verdict::Challenge { stale: false };
    let plain = challenge.replace(", qop=\"auth\"", "");
    assert_eq!(bench.check(&respond(&plain, "201", "secret", 1)), again);
    let elsewhere = challenge.replace("ringmaster", "elsewhere");
    assert_eq!(bench.check(&respond(&elsewhere, "201", "secret", 1)), again);
    let other = answer(&challenge, "REGISTER", "sip:other", "201", "secret", 1, "c").unwrap();
    assert_eq!(bench.check(&other), Verdict::OtherUri);
    assert_eq!(bench.check("NoOneKnowsThisScheme opaque-data=here"), again);
}

#[test]
fn a_full_table_of_counts_makes_the_oldest_nonces_stale_not_replayable() {
    let mut bench = Bench::new();
    let [first, _] = bench.challenges();
    let replayed = respond(&first, "201", "secret", 1);
    assert_eq!(bench.check(&replayed), authentic());
    for serial in 0..u32::try_from(MAX_NONCES).unwrap() {
        bench.authenticator.counts.insert(
            NonceId {
                time: 0,
                serial: 10 + serial,
            },
            Seen::default(),
        );
    }
    bench.now += Duration::from_millis(1);
    let [next, _] = bench.challenges();
    assert_eq!(
        bench.check(&respond(&next, "201", "secret", 1)),
        authentic()
    );
    assert_eq!(bench.check(&replayed), Verdict::Challenge { stale: true });
}

#[test]
fn counts_may_overtake_each_other_within_a_window_and_serve_once_each() {
    let mut seen = Seen::default();
    let taken: Vec<bool> = [1, 3, 2, 2, 3, 40, 9, 8, 39, 39, 0, 1]
        .into_iter()
        .map(|nc| seen.take(nc))
        .collect();
    let expected = [
        true, true, true, false, false, true, true, false, true, false, false, false,
    ];
    assert_eq!(taken, expected);
    assert!(seen.take(u32::MAX) && !seen.take(u32::MAX) && !seen.take(40));
}

#[test]
fn a_nonce_serves_the_address_that_asked_for_it_alone() {
    let mut bench = Bench::new();
    let [challenge, _] = bench.challenges();
    bench.peer = [192, 0, 2, 2].into();
    assert_eq!(
        bench.check(&respond(&challenge, "201", "secret", 1)),
        Verdict::Challenge { stale: true }
    );
    bench.peer = [192, 0, 2, 1].into();
    assert_eq!(
        bench.check(&respond(&challenge, "201", "secret", 1)),
        authentic()
    );
    bench.peer = "2001:db8::1".parse().unwrap();
    let [challenge, _] = bench.challenges();
    bench.peer = "2001:db8::2".parse().unwrap();
    assert_eq!(
        bench.check(&respond(&challenge, "201", "secret", 1)),
        authentic()
    );
}

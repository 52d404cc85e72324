//! The whole switch in this process, with the demo's phones on loopback.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread::JoinHandle;

use net::sip::tls::SelfSigned;
use sip::endpoint::Status;
use tracing::Level;

use super::*;
use crate::config::sample;
use crate::demo::phone::{News, Order, Phone};
use crate::trace::{Filter, Options, command};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn standing_calls_may_finish_after_a_stop_while_new_ones_get_503() {
    let bench = Bench::start("drain");
    let (talking, late) = (bench.phone("205"), bench.phone("206"));
    talking.order(Order::Call("600"));
    talking.expect(News::Answered, SOON).unwrap();

    bench.tell(Notice::Stop);
    late.order(Order::Call("600"));
    late.expect(News::Refused(Status(503)), SOON).unwrap();
    // Its own voice comes back: the call stands.
    let before = talking.heard();
    talking.hear(before + 4_000).unwrap();

    let hung_up = Instant::now();
    talking.order(Order::HangUp);
    talking.expect(News::Ended, SOON).unwrap();
    assert_eq!(bench.end().records, 1);
    assert!(
        hung_up.elapsed() < Duration::from_secs(1),
        "{:?}",
        hung_up.elapsed()
    );
}

#[test]
fn a_second_stop_ends_the_calls_and_writes_their_records() {
    let bench = Bench::start("stop");
    let phones = ["205", "206", "207"].map(|account| bench.phone(account));
    for phone in &phones {
        phone.order(Order::Call("601"));
        phone.expect(News::Answered, SOON).unwrap();
    }
    bench.tell(Notice::Stop);
    bench.tell(Notice::Stop);
    for phone in &phones {
        phone.expect(News::Ended, SOON).unwrap();
    }
    assert_eq!(bench.end().records, 3);
}

#[test]
fn a_switch_without_calls_stops_at_once() {
    let bench = Bench::start("idle");
    let asked = Instant::now();
    bench.tell(Notice::Stop);
    assert_eq!(bench.end().records, 0);
    assert!(
        asked.elapsed() < Duration::from_millis(500),
        "{:?}",
        asked.elapsed()
    );
}

#[test]
fn a_reload_with_mistakes_changes_nothing_and_a_good_one_drops_no_call() {
    let bench = Bench::start("reload");
    let (talking, other) = (bench.phone("205"), bench.phone("206"));
    talking.order(Order::Call("600"));
    talking.expect(News::Answered, SOON).unwrap();

    let numbers = bench.dir.join("numbers.toml");
    let text = fs::read_to_string(&numbers).unwrap();
    fs::write(
        &numbers,
        text.replace("600 = \"echo\"", "600 = \"ecko\"\n602 = \"echo\""),
    )
    .unwrap();
    bench.tell(Notice::Reload);
    std::thread::sleep(Duration::from_secs(1));
    other.order(Order::Call("602"));
    other.expect(News::Refused(Status(404)), SOON).unwrap();

    fs::write(&numbers, text.replace("600 = \"echo\"", "602 = \"echo\"")).unwrap();
    bench.tell(Notice::Reload);
    let mut refusals = 0;
    loop {
        other.order(Order::Call("602"));
        if other.expect(News::Answered, SOON).is_ok() {
            break;
        }
        refusals += 1;
        assert!(refusals < 100, "the new number does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
    let third = bench.phone("207");
    third.order(Order::Call("600"));
    third.expect(News::Refused(Status(404)), SOON).unwrap();

    let before = talking.heard();
    talking.hear(before + 4_000).unwrap();
    for phone in [talking, other] {
        phone.order(Order::HangUp);
        phone.expect(News::Ended, SOON).unwrap();
    }
    bench.tell(Notice::Stop);
    assert_eq!(
        bench.end().records,
        4 + refusals,
        "refused calls have records too"
    );
}

#[test]
fn a_taken_port_is_told_with_its_address_and_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = folder("taken");
    let Err(error) = start(&dir, address, |text| text) else {
        panic!("started on a taken port")
    };
    let message = error.to_string();
    assert!(
        message.contains(&address.to_string()) && message.contains("another switch"),
        "{message}"
    );
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_queue_call_is_told_in_at_most_ten_lines_without_its_number() {
    // A caller whose account stands nowhere else.
    let bench = Bench::start_with("log", |text| {
        text.replace("209 = {", "zelda = {")
            .replace("start_sound = \"start\"\n", "")
    });
    let agent = bench.phone("201");
    let caller = bench.phone_with("zelda", "ringmaster-209");
    caller.order(Order::Call("700"));
    caller.expect(News::Answered, SOON).unwrap();
    agent.expect(News::Rings, SOON).unwrap();
    agent.order(Order::Answer);
    agent.expect(News::Connected, SOON).unwrap();
    caller.order(Order::HangUp);
    agent.expect(News::Ended, SOON).unwrap();
    bench.tell(Notice::Stop);
    let ended = bench.end();
    let log = ended.log;
    let of_the_call = log.lines().filter(|line| line.contains("call{")).count();
    assert!((3..=10).contains(&of_the_call), "{log}");
    assert!(!log.contains("zelda"), "{log}");
}

/// What a switch left behind.
struct Ended {
    /// Call records.
    records: usize,
    /// What its control loop logged, down to INFO.
    log: String,
}

#[test]
fn a_running_switch_shows_a_call_with_all_its_legs_as_one_ladder() {
    let bench = Bench::start("trace");
    let (caller, called) = (bench.phone("205"), bench.phone("206"));
    let pcap = folder("trace-pcap").with_extension("pcap");
    let options = Options {
        filter: Filter::Text("206".into()),
        full: true,
        secrets: false,
        seconds: None,
        count: None,
        socket: Some(bench.dir.join("ringmaster.sock")),
        pcap: Some(pcap.clone()),
    };
    let stream = command::connect(&options).unwrap();
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        command::watch(stream, &options, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    });
    caller.order(Order::Call("206"));
    called.expect(News::Rings, SOON).unwrap();
    called.order(Order::Answer);
    caller.expect(News::Answered, SOON).unwrap();
    caller.order(Order::HangUp);
    caller.expect(News::Ended, SOON).unwrap();
    bench.tell(Notice::Stop);
    bench.end();
    let text = reader.join().unwrap();
    let ladder: Vec<&str> = text.lines().filter(|line| line.contains('|')).collect();
    let shown = |line: &str| ladder.iter().any(|shown| shown.ends_with(line));
    for line in [
        "|--- INVITE 206 SDP ------>|",
        "|<-- 401 Unauthorized -----|",
        "|                          |--- INVITE 206 SDP ------>|",
        "|                          |<-- 200 OK SDP -----------|",
        "|<-- 200 OK SDP -----------|                          |",
        "|--- BYE 206 ------------->|                          |",
        "|                          |--- BYE 206 ------------->|",
    ] {
        assert!(shown(line), "{line}\n{text}");
    }
    let messages = fs::read(&pcap).unwrap();
    fs::remove_file(&pcap).unwrap();
    let hidden = messages
        .windows(14)
        .filter(|octets| octets == b"response=\"****");
    assert!(
        hidden.count() > 0,
        "the file holds the messages, without secrets"
    );
    assert!(text.contains("    Call-ID: "), "{text}");
    assert!(text.contains("response=\"****"), "{text}");
}

/// The sample with TLS on a free port.
fn with_tls(text: &str) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = socket.local_addr().unwrap();
    match text.split_once("\"]\n") {
        Some((listen, rest)) if text.contains("[sip]") => {
            format!("{listen}\", \"tls:{tls}\"]\n{rest}")
        }
        _ => text.to_owned(),
    }
}

#[test]
fn a_certificate_is_made_once_renewed_by_a_reload_and_kept_when_the_new_one_is_broken() {
    let bench = Bench::start_with("certificate", |text| with_tls(&text));
    let phone = bench.phone("205");
    let files = ["certificate.pem", "key.pem"].map(|file| bench.dir.join("tls").join(file));
    let mode = fs::metadata(&files[1]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the key is the owner's");
    let made = Identity::read(&fs::read(&files[0]).unwrap(), &fs::read(&files[1]).unwrap());
    let renewed = SelfSigned::make(&["127.0.0.1".to_owned()]).unwrap();
    fs::write(&files[0], &renewed.certificate).unwrap();
    bench.tell(Notice::Reload);
    let waits_for = |words: &str| {
        let until = Instant::now() + SOON;
        while !fs::read_to_string(bench.dir.join("log"))
            .unwrap()
            .contains(words)
        {
            assert!(Instant::now() < until, "the log never says: {words}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    // The key is still the old one.
    waits_for("the configuration was not taken and nothing changed");
    waits_for("certificate.pem with ");
    fs::write(&files[1], &renewed.key).unwrap();
    bench.tell(Notice::Reload);
    let identity = Identity::read(renewed.certificate.as_bytes(), renewed.key.as_bytes()).unwrap();
    assert_ne!(made.unwrap().fingerprint(), identity.fingerprint());
    waits_for(identity.fingerprint());
    // Calls went on all the while.
    phone.order(Order::Call("600"));
    phone.expect(News::Answered, SOON).unwrap();
    phone.order(Order::HangUp);
    phone.expect(News::Ended, SOON).unwrap();
    bench.tell(Notice::Stop);
    bench.end();
}

#[test]
fn a_certificate_that_is_named_is_never_made_and_its_absence_is_told() {
    let dir = folder("named");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let Err(error) = start(&dir, address, |text| {
        let named = "[sip]\ntls_certificate = \"mine.pem\"\ntls_key = \"mine.key\"\n";
        with_tls(&text).replace("[sip]\n", named)
    }) else {
        panic!("started without a certificate")
    };
    assert!(error.to_string().contains("mine.pem"), "{error}");
    assert!(!dir.join("mine.pem").exists() && !dir.join("tls").exists());
    fs::remove_dir_all(dir).unwrap();
}

struct Bench {
    dir: PathBuf,
    address: SocketAddr,
    notices: mpsc::Sender<Notice>,
    running: JoinHandle<ExitCode>,
}

impl Bench {
    fn start(name: &str) -> Self {
        Self::start_with(name, |text| text)
    }

    /// A switch on the sample configuration, changed.
    fn start_with(name: &str, change: impl Fn(String) -> String) -> Self {
        let dir = folder(name);
        // Free for UDP a moment ago, and hardly taken for TCP.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        let switch = start(&dir, address, change).unwrap();
        let notices = switch.notices();
        let log = Arc::new(File::create(dir.join("log")).unwrap());
        let running = std::thread::spawn(move || {
            let subscriber = tracing_subscriber::fmt()
                .with_writer(log)
                .with_ansi(false)
                .finish();
            tracing::subscriber::with_default(subscriber, || switch.run())
        });
        Self {
            dir,
            address,
            notices,
            running,
        }
    }

    fn phone(&self, account: &str) -> Phone {
        self.phone_with(account, &format!("ringmaster-{account}"))
    }

    fn phone_with(&self, account: &str, password: &str) -> Phone {
        let phone = Phone::start(account, password, self.address).unwrap();
        phone.order(Order::Register);
        phone.expect(News::Registered, SOON).unwrap();
        phone
    }

    fn tell(&self, notice: Notice) {
        self.notices.blocking_send(notice).unwrap();
    }

    /// Waits for the end.
    fn end(self) -> Ended {
        assert_eq!(self.running.join().unwrap(), ExitCode::SUCCESS);
        let files = fs::read_dir(self.dir.join("call-records")).unwrap();
        let lines = |file: io::Result<fs::DirEntry>| {
            fs::read_to_string(file.unwrap().path())
                .unwrap()
                .lines()
                .count()
        };
        let records = files.map(lines).sum();
        let log = fs::read_to_string(self.dir.join("log")).unwrap();
        fs::remove_dir_all(&self.dir).unwrap();
        Ended { records, log }
    }
}

fn start(
    dir: &Path,
    address: SocketAddr,
    change: impl Fn(String) -> String,
) -> Result<Switch, StartError> {
    fs::create_dir_all(dir.join("sounds"))?;
    for (file, text) in sample::adapted(address) {
        fs::write(dir.join(file.name()), change(text))?;
    }
    let checked = config::load(dir)?;
    Switch::start(checked, Some(dir.to_owned()), log::start(Level::ERROR)?)
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ringmaster-run-{name}-{}", std::process::id()))
}

#[test]
fn rtp_leaves_a_third_of_the_open_files_to_others_and_a_limit_too_low_is_refused() {
    assert_eq!(rtp_sockets(1_064, 500).unwrap(), 666);
    assert_eq!(rtp_sockets(124, 500).unwrap(), 40);
    assert!(rtp_sockets(u64::MAX, 500).unwrap() > 1_000_000);
    let refused = rtp_sockets(64, 500).unwrap_err().to_string();
    assert!(
        refused.contains("is 64") && refused.contains("3064"),
        "{refused}"
    );
}

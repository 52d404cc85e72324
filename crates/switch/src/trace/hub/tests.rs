use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use sip::Transport;

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// A trace with its socket in a folder of its own.
struct Bench {
    runtime: tokio::runtime::Runtime,
    tap: Tap,
    trace: Trace,
    notices: mpsc::Receiver<Notice>,
    socket: PathBuf,
}

impl Bench {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ringmaster-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("ringmaster.sock");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (sender, notices) = mpsc::channel(64);
        let (tap, trace) =
            runtime.block_on(async { Trace::start(&settings(&socket), sender).unwrap() });
        Self {
            runtime,
            tap,
            trace,
            notices,
            socket,
        }
    }

    /// A reader that the control loop was told of.
    fn reader(&mut self) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(b"trace\n").unwrap();
        let mut greeting = [0; GREETING.len()];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(greeting, *GREETING);
        let told = self.runtime.block_on(self.notices.recv());
        assert!(matches!(told, Some(Notice::Watched)));
        stream
    }

    fn send(&self, text: &'static [u8]) {
        let flow = Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.7:5062".parse().unwrap(),
        };
        self.tap.sent(flow, &Bytes::from_static(text));
    }
}

fn settings(socket: &Path) -> config::Trace {
    config::Trace {
        socket: socket.to_owned(),
        export: None,
    }
}

fn octets(frame: Frame) -> Bytes {
    match frame {
        Frame::Message(passed) => passed.octets,
        Frame::Dialog(_) | Frame::Lost(_) => panic!("{frame:?}"),
    }
}

#[test]
fn every_reader_gets_every_message_and_nothing_is_made_while_there_is_none() {
    let mut bench = Bench::start("readers");
    bench.send(b"nobody hears this");
    assert!(!bench.tap.is_open());
    let mut readers = [bench.reader(), bench.reader()];
    bench.send(b"1");
    bench.tap.dialog("call-1".into(), "a".into());
    for reader in &mut readers {
        assert_eq!(octets(Frame::read(reader).unwrap()), "1");
        assert!(matches!(Frame::read(reader).unwrap(), Frame::Dialog(_)));
    }
    drop(readers);
    let begun = Instant::now();
    while bench.tap.is_open() {
        assert!(begun.elapsed() < SOON, "nobody watches any more");
        bench.send(b"2");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed() {
    let mut bench = Bench::start("slow");
    let mut slow = bench.reader();
    let message = &[b'x'; 1_000];
    let begun = Instant::now();
    let sent = 4 * (QUEUE + READER_QUEUE);
    for _ in 0..sent {
        bench.send(message);
    }
    assert!(begun.elapsed() < SOON);
    let (mut came, mut missing) = (0, 0);
    while came + missing < sent {
        match Frame::read(&mut slow).unwrap() {
            Frame::Message(_) => came += 1,
            Frame::Lost(count) => missing += usize::try_from(count).unwrap(),
            Frame::Dialog(_) => unreachable!(),
        }
        // What the tap itself dropped is told with the next message.
        bench.send(b"and one more");
    }
    assert!(missing > 0, "all {came} came");
}

#[test]
fn the_socket_is_the_owners_alone_and_a_left_over_one_is_replaced() {
    let bench = Bench::start("rights");
    let mode = std::fs::metadata(&bench.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let sender = mpsc::channel(1).0;
    // Somebody listens there: the second switch runs without a trace, and the first keeps its own.
    let (_, second) = bench
        .runtime
        .block_on(async { Trace::start(&settings(&bench.socket), sender.clone()).unwrap() });
    assert!(second.door.is_none());
    // A file that a killed switch left.
    let left = bench.socket.with_file_name("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    assert!(left.exists());
    let (_, third) = bench
        .runtime
        .block_on(async { Trace::start(&settings(&left), sender).unwrap() });
    assert!(third.door.is_some());
    drop((bench.trace, third));
    let begun = Instant::now();
    while bench.socket.exists() || left.exists() {
        assert!(begun.elapsed() < SOON, "the files go with the switch");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the socket answers to a line.
fn answer_to(socket: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(2 * SOON)).unwrap();
    stream.write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_question_goes_to_the_control_loop_and_its_answer_comes_back() {
    let mut bench = Bench::start("why");
    let socket = bench.socket.clone();
    let client = std::thread::spawn(move || {
        ["why 205\n", "why nobody\n"].map(|line| answer_to(&socket, line))
    });
    for (asked, answer) in [("205", Some("waits\n".to_owned())), ("nobody", None)] {
        let notice = bench.runtime.block_on(bench.notices.recv());
        let Some(Notice::Asked { name, reply }) = notice else {
            panic!("a question, not {notice:?}");
        };
        assert_eq!(name, asked);
        reply.send(answer).unwrap();
    }
    assert_eq!(client.join().unwrap(), ["known\nwaits\n", "unknown\n"]);
}

#[test]
fn who_asks_nonsense_is_told_what_can_be_asked_and_who_says_too_much_or_nothing_is_given_up() {
    let bench = Bench::start("nonsense");
    let told = answer_to(&bench.socket, "GET / HTTP/1.1\n");
    assert_eq!(told, "this socket knows: trace, why NAME, do ORDER\n");
    // More than a line, and no line at all: as many as are talked with at once.
    let long = "x".repeat(5_000);
    let mut silent: Vec<UnixStream> = (0..8)
        .map(|_| UnixStream::connect(&bench.socket).unwrap())
        .collect();
    let begun = Instant::now();
    let mut stream = UnixStream::connect(&bench.socket).unwrap();
    let _ = stream.write_all(long.as_bytes());
    stream.set_read_timeout(Some(3 * SOON)).unwrap();
    // The end, or a reset for what nobody read.
    assert!(matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)));
    assert!(
        begun.elapsed() < 3 * SOON,
        "silent clients hold up others for a while only"
    );
    for client in &mut silent {
        client.set_read_timeout(Some(3 * SOON)).unwrap();
        assert!(matches!(client.read(&mut [0; 64]), Ok(0) | Err(_)));
    }
}

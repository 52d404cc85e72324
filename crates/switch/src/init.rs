//! `ringmaster init`: the sample configuration for a machine on a network, with passwords of its own.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use net::sip::tls::Identity;
use sip::flow::Transport;

use crate::certificate;
use crate::cli::Init;
use crate::config::{self, Checked, File, Listener, sample};

/// Letters and digits that nobody mistakes for another when reading a password aloud or from a screen: 31 of them.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// Letters of a password: 20 of 31 are 99 bits, beyond any search; more would only be harder to type into a desk phone.
const LENGTH: usize = 20;

/// A password is written in groups of so many letters.
const GROUP: usize = 5;

/// Why no configuration was written; each says how to go on.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{} is there already: name a new folder, or remove it first", .0.display())]
    Exists(PathBuf),
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
    #[error("this machine has no route to a network: name its address with --address")]
    NoAddress,
    #[error(
        "{0} is no address that a phone could be told: name one of this machine with --address"
    )]
    Unusable(IpAddr),
    #[error("no certificate for TLS: {0}")]
    Certificate(#[from] certificate::MakeError),
    #[error("no random numbers from /dev/urandom: {0}")]
    Random(io::Error),
    #[error("what was written has mistakes; this is a fault of Ringmaster:\n{0}")]
    Mistakes(config::Report),
}

/// Writes a configuration and says what to do with it.
pub(crate) fn init(init: &Init) -> ExitCode {
    match write(init) {
        Ok((address, checked, identity)) => {
            let tls = identity.map(|identity| {
                let listener = checked
                    .sip
                    .listeners
                    .iter()
                    .find(|it| it.transport.is_secure());
                let port = listener.map_or(0, |listener| listener.address.port());
                (port, checked.certificate_lines(&identity))
            });
            print!("{}", next_steps(&init.dir, address, &checked.rtp, tls));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ringmaster init: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Nothing of an existing configuration is ever overwritten.
fn write(init: &Init) -> Result<(SocketAddr, Checked, Option<Identity>), InitError> {
    let ip = match init.address {
        Some(ip) => ip,
        None => default_route_address().ok_or(InitError::NoAddress)?,
    };
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(InitError::Unusable(ip));
    }
    let address = SocketAddr::new(ip, init.port);
    for file in File::ALL {
        let path = init.dir.join(file.name());
        if path.exists() {
            return Err(InitError::Exists(path));
        }
    }
    let mut texts = sample::adapted(address);
    for (file, text) in &mut texts {
        if *file == File::Phones {
            *text = sample::with_passwords(text, password).map_err(InitError::Random)?;
        }
        // Usual is 5061 beside 5060; beyond the last port there is none.
        if let (File::Ringmaster, Some(port)) = (&file, init.port.checked_add(1)) {
            let transport = Transport::Tls;
            let address = SocketAddr::new(ip, port);
            *text = sample::with_listener(text, Listener { transport, address });
        }
    }
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |reason| InitError::File { path, reason }
    };
    // Only the switch has business in there: passwords, recordings, call records.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&init.dir)
        .map_err(fault(&init.dir))?;
    for folder in ["recordings", "call-records", "queue-log", "sounds"] {
        let path = init.dir.join(folder);
        fs::create_dir_all(&path).map_err(fault(&path))?;
    }
    for (file, text) in texts {
        let path = init.dir.join(file.name());
        let mut disk = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(fault(&path))?;
        disk.write_all(text.as_bytes()).map_err(fault(&path))?;
    }
    let checked = config::load(&init.dir).map_err(InitError::Mistakes)?;
    // Now rather than at the first start, so that its fingerprint can be told.
    if let Some(tls) = &checked.sip.tls {
        certificate::make(tls, &checked.sip.listeners, &checked.outer_addresses)?;
    }
    let identity = checked.identity().map_err(InitError::Mistakes)?;
    Ok((address, checked, identity))
}

/// The address that packets to the Internet leave from. Connecting a UDP socket sends nothing: the system only looks up the route.
fn default_route_address() -> Option<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849): routed as all others, owned by nobody.
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .into_iter()
        .find_map(|(from, to)| {
            let socket = UdpSocket::bind(from).ok()?;
            socket.connect(to).ok()?;
            let ip = socket.local_addr().ok()?.ip();
            (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
        })
}

/// A password from the system's random numbers.
fn password() -> io::Result<String> {
    // Octets from the last, incomplete round of the alphabet would make its first letters likelier.
    let fair = (256 / ALPHABET.len() * ALPHABET.len()) as u8;
    let random = BufReader::with_capacity(64, fs::File::open("/dev/urandom")?);
    let letters = random
        .bytes()
        .filter(|octet| octet.as_ref().map_or(true, |octet| *octet < fair));
    let mut password = String::new();
    for (index, octet) in letters.take(LENGTH).enumerate() {
        if index > 0 && index % GROUP == 0 {
            password.push('-');
        }
        password.push(char::from(ALPHABET[usize::from(octet?) % ALPHABET.len()]));
    }
    Ok(password)
}

/// `tls`: the port of TLS, and what is to be said about its certificate.
fn next_steps(
    dir: &Path,
    address: SocketAddr,
    rtp: &config::Rtp,
    tls: Option<(u16, String)>,
) -> String {
    let dir = dir.display();
    let opened = tls
        .as_ref()
        .map(|(port, _)| format!(" and TCP port {port}"));
    let opened = opened.unwrap_or_default();
    let encrypted = tls.map(|(port, certificate)| {
        format!("\nencrypted: TLS on port {port}; phones must be told to trust this certificate, or name your own in ringmaster.toml\n  {certificate}")
    });
    let encrypted = encrypted.unwrap_or_default();
    format!(
        "\
{dir} holds a configuration for {address}:
  {dir}/ringmaster.toml   addresses, limits, folders
  {dir}/phones.toml       phones 201 to 210 and their random passwords
  {dir}/queues.toml       the queue `support` and its agents on 201 to 204
  {dir}/numbers.toml      what is dialled: 700 the queue, 600 echo, 601 music, *45 log in, *46 log out

next:
  1. open UDP and TCP port {port}{opened}, and UDP ports {first} to {last} in the firewall, for the phones' network only
  2. ringmaster run --config {dir}
  3. set up two phones: users 201 and 205 with their passwords in phones.toml, server {address}
  4. dial 700 on phone 205: phone 201 rings
{encrypted}",
        port = address.port(),
        first = rtp.first_port,
        last = rtp.last_port,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder that is removed at the end of the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("ringmaster-init-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn wanted(dir: &Path, address: &str) -> Init {
        Init {
            dir: dir.to_owned(),
            address: address.parse().ok(),
            port: 5070,
        }
    }

    #[test]
    fn what_is_written_passes_check_on_an_address_of_a_network() {
        for address in ["192.0.2.7", "2001:db8::7"] {
            let folder = Folder::new(&address.replace(':', "-"));
            let (listener, checked, identity) = write(&wanted(&folder.0, address)).unwrap();
            assert_eq!(listener, SocketAddr::new(address.parse().unwrap(), 5070));
            let listeners: Vec<String> = checked
                .sip
                .listeners
                .iter()
                .map(ToString::to_string)
                .collect();
            let wanted = [("udp", 5070), ("tcp", 5070), ("tls", 5071)].map(|(transport, port)| {
                let address = SocketAddr::new(address.parse().unwrap(), port);
                format!("{transport}:{address}")
            });
            assert_eq!(listeners, wanted);
            let identity = identity.unwrap();
            let tls = Some((5071, checked.certificate_lines(&identity)));
            let said = next_steps(&folder.0, listener, &checked.rtp, tls);
            assert!(said.contains(identity.fingerprint()), "{said}");
            assert!(
                said.contains("UDP and TCP port 5070 and TCP port 5071"),
                "{said}"
            );
            assert_eq!(checked.rtp.addresses, [address.parse::<IpAddr>().unwrap()]);
            let base = fs::canonicalize(&folder.0).unwrap();
            assert_eq!(checked.recordings, base.join("recordings"));
            assert_eq!(checked.call_records, base.join("call-records"));
            assert_eq!(checked.queue_log, base.join("queue-log"));
            assert_eq!(checked.phones.len(), 10);
        }
    }

    #[test]
    fn each_phone_gets_a_random_password_that_nobody_else_can_read() {
        let folder = Folder::new("passwords");
        write(&wanted(&folder.0, "192.0.2.7")).unwrap();
        let checked = config::load(&folder.0).unwrap();
        let passwords: BTreeSet<_> = checked.phones.values().map(|it| it.0.clone()).collect();
        assert_eq!(passwords.len(), 10);
        for password in passwords {
            let letters: String = password.chars().filter(|letter| *letter != '-').collect();
            assert_eq!(letters.len(), LENGTH, "{password}");
            assert!(
                letters.bytes().all(|letter| ALPHABET.contains(&letter)),
                "{password}"
            );
        }
        for file in File::ALL {
            let mode = fs::metadata(folder.0.join(file.name()))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file:?}");
        }
        assert!((ALPHABET.len() as f64).log2() * LENGTH as f64 > 80.0);
    }

    #[test]
    fn an_existing_configuration_is_never_overwritten() {
        let folder = Folder::new("existing");
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.0.join("queues.toml"), "# mine").unwrap();
        let refused = write(&wanted(&folder.0, "192.0.2.7"));
        assert!(matches!(refused, Err(InitError::Exists(_))), "{refused:?}");
        assert_eq!(
            fs::read_to_string(folder.0.join("queues.toml")).unwrap(),
            "# mine"
        );
        assert!(!folder.0.join("phones.toml").exists());
    }

    #[test]
    fn an_address_that_no_phone_could_be_told_is_refused() {
        let folder = Folder::new("address");
        let refused = write(&wanted(&folder.0, "0.0.0.0"));
        assert!(
            matches!(refused, Err(InitError::Unusable(_))),
            "{refused:?}"
        );
        assert!(!folder.0.exists());
    }
}

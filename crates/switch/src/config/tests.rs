//! The sample is the documentation: it must say what the code does, about every setting.

use std::fs;
use std::path::{Path, PathBuf};

use call::settings::Supervision;
use proptest::prelude::*;
use queue::{AgentId, BreakReason, Membership, QueueId, Status};
use sip::endpoint::Account;

use super::*;

/// Where the sample's relative paths start.
fn sample_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// The sample with other texts in the place of some of its files.
pub(super) fn load_with(changed: &[(File, &str)]) -> Result<Checked, Report> {
    let texts = sample::TEXTS.map(|(file, text)| {
        let text = changed
            .iter()
            .find(|(it, _)| *it == file)
            .map_or(text, |(_, text)| text);
        (file, text.to_owned())
    });
    load_texts(&sample_dir(), texts)
}

pub(super) fn sample_text(file: File) -> &'static str {
    sample::TEXTS[file as usize].1
}

/// The mistakes of the sample with one file changed.
fn told(file: File, text: &str) -> String {
    load_with(&[(file, text)]).map_or_else(|report| report.to_string(), |_| String::new())
}

fn agent(name: &str) -> AgentId {
    AgentId(name.into())
}

#[test]
fn the_sample_is_what_it_promises() {
    let checked = load(&sample_dir()).unwrap();
    let listeners: Vec<String> = checked
        .sip
        .listeners
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listeners, ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
    for number in 201..=210 {
        let password = &checked.phones[&Account(number.to_string().into())];
        assert_eq!(password.0, format!("ringmaster-{number}"));
    }
    let support = QueueId("support".into());
    assert_eq!(
        checked.numbers["700"],
        Destination::Queue(support.clone().into())
    );
    assert_eq!(checked.numbers["600"], Destination::Echo);
    assert_eq!(checked.numbers["601"], Destination::Music);
    assert_eq!(
        checked.numbers["*45"],
        Destination::SetStatus(Status::Available)
    );
    assert_eq!(
        checked.numbers["*46"],
        Destination::SetStatus(Status::LoggedOut)
    );
    let lunch = Status::OnBreak(BreakReason("lunch".into()));
    assert_eq!(checked.numbers["*47"], Destination::SetStatus(lunch));
    assert_eq!(
        checked.numbers["*51"],
        Destination::Supervise(Supervision::Whisper)
    );
    assert!(checked.supervisors.is_empty());
    let queue = &checked.queues[&support];
    assert!(queue.record_enabled);
    let members = ["201", "202", "203", "204"]
        .into_iter()
        .zip(1..)
        .map(|(name, position)| {
            let (agent, level) = (agent(name), 1);
            Membership {
                agent,
                level,
                position,
            }
        });
    assert_eq!(queue.plan.members, members.collect::<Vec<_>>());
    for (id, agent) in &checked.agents {
        assert_eq!(agent.reached, Reached::Phone(Account(id.0.clone())));
        assert_eq!(agent.plan.status, Status::Available);
    }
}

#[test]
fn the_texts_inside_the_binary_are_the_files_of_the_sample() {
    for (index, file) in File::ALL.into_iter().enumerate() {
        assert_eq!(file as usize, index);
        let disk = fs::read_to_string(sample_dir().join(file.name())).unwrap();
        assert_eq!(sample_text(file), disk);
    }
}

/// A setting of the sample, with the default that the comment above it names.
struct Documented {
    file: File,
    line: usize,
    key: String,
    default: String,
}

/// Every setting of ringmaster.toml and queues.toml; the other two files hold names, not settings.
fn documented() -> Vec<Documented> {
    let mut all = Vec::new();
    for file in [File::Ringmaster, File::Queues] {
        let mut comment = String::new();
        for (line, text) in sample_text(file).lines().enumerate() {
            let prose = text == "#" || text.starts_with("# ");
            let setting = text.trim_start_matches('#').split_once(" = ");
            match setting {
                Some((key, _)) if !prose && !text.starts_with(' ') => {
                    let default = comment.split_once("Default: ").map(|(_, it)| it.to_owned());
                    let default = default.unwrap_or_default();
                    all.push(Documented {
                        file,
                        line,
                        key: key.to_owned(),
                        default,
                    });
                    comment.clear();
                }
                _ if prose => comment.push_str(text),
                _ => comment.clear(),
            }
        }
    }
    all
}

/// The sample with another text in the place of one line.
fn with_line(setting: &Documented, line: &str) -> Result<Checked, Report> {
    let mut lines: Vec<&str> = sample_text(setting.file).lines().collect();
    lines[setting.line] = line;
    let mut result = load_with(&[(setting.file, &lines.join("\n"))]);
    if let Ok(checked) = &mut result {
        for sound in checked.sounds.values_mut() {
            sound.named_at.clear();
        }
    }
    result
}

#[test]
fn the_default_in_a_comment_is_what_the_absent_setting_means() {
    let mut compared = 0;
    for setting in documented() {
        let name = format!("{} of line {}", setting.key, setting.line + 1);
        let default = setting.default.strip_suffix('.').unwrap_or_default();
        let is_value = default.starts_with(['"', '[', '{'])
            || default.starts_with(|letter: char| letter.is_ascii_digit())
            || ["true", "false"].contains(&default);
        if !is_value || ["agents", "steps"].contains(&setting.key.as_str()) {
            continue;
        }
        let absent = with_line(&setting, "#");
        let written = with_line(&setting, &format!("{} = {default}", setting.key));
        assert_eq!(absent.is_ok(), written.is_ok(), "{name}");
        if absent.is_ok() {
            assert_eq!(absent, written, "{name}: {default}");
        } else {
            // Without `sound_type`, the sample's `sound` is a mistake.
            assert_eq!(setting.key, "sound_type");
        }
        compared += 1;
    }
    assert!(
        compared > 25,
        "only {compared} defaults were found in the comments"
    );
}

#[test]
fn every_setting_of_the_sample_says_its_default_the_first_time() {
    let mut seen = Vec::new();
    for Documented {
        file,
        line,
        key,
        default,
    } in documented()
    {
        let again = seen.contains(&(file, key.clone()));
        assert!(
            again || !default.is_empty(),
            "{key} in line {} of {}",
            line + 1,
            file.name()
        );
        // Folders stand in several tables.
        if key != "folder" {
            seen.push((file, key));
        }
    }
}

#[test]
fn the_sample_shows_every_setting_that_the_code_knows() {
    let mut tables = 0;
    for file in [File::Ringmaster, File::Queues] {
        let text = sample_text(file);
        for header in text.lines().filter(|line| line.starts_with('[')) {
            let report = told(
                file,
                &text.replacen(header, &format!("{header}\nzzzz = 1"), 1),
            );
            let (_, known) = report
                .split_once("unknown key `zzzz`: known here: ")
                .unwrap();
            let known = known.lines().next().unwrap().split('`').skip(1).step_by(2);
            for key in known {
                let (set, unset) = (format!("\n{key} = "), format!("\n#{key} = "));
                assert!(
                    text.contains(&set) || text.contains(&unset),
                    "{header} {key}"
                );
            }
            tables += 1;
        }
    }
    assert_eq!(tables, 17);
}

#[test]
fn without_any_setting_everything_has_its_default() {
    let empty = [
        (File::Ringmaster, ""),
        (
            File::Queues,
            "[queues.q]\nagents = [{ agent = '201' }]\n[agents.201]",
        ),
    ];
    let numbers = (File::Numbers, "");
    let checked = load_with(&[empty[0], empty[1], numbers]).unwrap();
    let queue = &checked.queues[&QueueId("q".into())];
    assert_eq!(queue.sound, [], "the ringing tone");
    assert_eq!(queue.plan.strategy, queue::Strategy::RoundRobin);
    let member = Membership {
        agent: agent("201"),
        level: 1,
        position: 1,
    };
    assert_eq!(queue.plan.members, [member]);
    let phone = Reached::Phone(Account("201".into()));
    assert_eq!(checked.agents[&agent("201")].reached, phone);
    assert_eq!(
        checked.recordings,
        sample_dir().canonicalize().unwrap().join("recordings")
    );
}

#[test]
fn every_sound_of_the_sample_can_be_decoded_and_reaches_call_control() {
    let checked = load(&sample_dir()).unwrap();
    let settings = checked.settings(
        &checked
            .decode_sounds(&mut crate::sounds::Library::default())
            .unwrap(),
    );
    let service = &settings.queues[&QueueId("support".into())];
    assert!(service.start_sound.is_some() && service.announce.is_some());
    assert!(std::sync::Arc::ptr_eq(
        &service.waiting,
        &settings.sounds.music
    ));
    assert_eq!(settings.plan.agents.len(), settings.agents.len());
    assert_eq!(settings.sip.accounts.len(), 10);
}

#[test]
fn a_sample_password_is_refused_on_any_address_but_loopback() {
    let text = sample_text(File::Ringmaster);
    for open in [
        text.replace("tcp:127.0.0.1", "tcp:192.0.2.1"),
        text.replace("addresses = [\"127.0.0.1\"]", "addresses = [\"192.0.2.1\"]"),
    ] {
        let report = told(File::Ringmaster, &open);
        assert_eq!(
            report.matches("has a sample password").count(),
            10,
            "{report}"
        );
        assert!(report.contains("`ringmaster init DIR`"), "{report}");
    }
    for closed in [
        text.replace("127.0.0.1", "127.0.0.2"),
        text.replace("127.0.0.1:", "[::1]:")
            .replace("\"127.0.0.1\"", "\"::1\""),
    ] {
        assert_eq!(told(File::Ringmaster, &closed), "");
    }
}

#[test]
fn settings_that_do_not_fit_together_are_told_at_one_of_them() {
    let cases = [
        (
            "[rtp]\nfirst_port = 20000\nlast_port = 20009",
            3,
            "ports 20000 to 20009 hold 5 legs; 500 calls (`max_calls`) need 1000, two ports each",
        ),
        (
            "[rtp]\nfirst_port = 30000",
            2,
            "`last_port` (20479) is below `first_port` (30000)",
        ),
        ("[rtp]\nlast_port = 18382", 2, ""),
        (
            "[rtp]\nlast_port = 18381",
            2,
            "ports 16384 to 18381 hold 999 legs; 500 calls (`max_calls`) need 1000, two ports each",
        ),
        (
            "[sip]\nmin_expires = 4000",
            2,
            "`max_expires` (3600 s) is below `min_expires` (4000 s)",
        ),
        (
            "[sip]\nlisten = ['udp:[::1]:5060']",
            2,
            "phones of `udp:[::1]:5060` could not be heard: RTP has no IPv6 address",
        ),
        ("[sip]\nlisten = ['tcp:127.0.0.1:17000']", 2, ""),
        (
            "[sip]\nlisten = []",
            1,
            "`listen` is empty: no phone could register",
        ),
        (
            "[rtp]\naddresses = []",
            1,
            "`addresses` is empty: nobody could be heard",
        ),
        ("[sounds]\nfolder = 'none'", 2, "No such file"),
    ];
    for (text, line, expected) in cases {
        let report = told(File::Ringmaster, text);
        if expected.is_empty() {
            assert_eq!(report, "", "{text}");
        } else {
            let place = format!("ringmaster.toml:{line}:");
            assert!(
                report.contains(&place) && report.contains(expected),
                "{text}: {report}"
            );
            assert!(report.ends_with(": 1 mistake"), "{text}: {report}");
        }
    }
}

#[test]
fn no_password_is_ever_shown() {
    let secret = "canary-7391-canary";
    let phones = format!(
        "[phones]\n201 = {{ password = \"{secret}\" }}\n202 = {{ password = 73917391 }}\n203 = {{ password = \"73917391\" }}"
    );
    let open = sample_text(File::Ringmaster).replace("127.0.0.1", "192.0.2.1");
    let report = load_with(&[(File::Phones, &phones), (File::Ringmaster, &open)]).unwrap_err();
    assert!(!report.to_string().contains("7391"), "{report}");
    assert!(
        report
            .to_string()
            .contains("`203` has a password that is too short"),
        "{report}"
    );
    let phones = sample_text(File::Phones).replace("ringmaster-201", secret);
    let checked = load_with(&[(File::Phones, &phones)]).unwrap();
    assert!(!format!("{checked:?} {}", checked.summary()).contains("7391"));
}

#[test]
fn what_stands_in_a_part_that_could_not_be_read_is_not_called_missing() {
    let report = told(
        File::Phones,
        "[phones\n201 = { password = \"kcw7q-9xm3t-zphv4\" }",
    );
    assert!(report.contains("phones.toml:1:"), "{report}");
    assert!(!report.contains("unknown phone"), "{report}");
}

#[test]
fn mistakes_beyond_the_limit_are_counted() {
    let lines: String = (0..5000)
        .map(|number| format!("key{number} = 1\n"))
        .collect();
    let report = load_with(&[(File::Ringmaster, &lines)]).unwrap_err();
    assert_eq!(report.count(), 5000);
    assert!(report.to_string().contains("\n... and 4000 more\n"));
}

#[test]
fn a_file_without_end_or_without_a_name_is_not_read() {
    let dir = std::env::temp_dir().join(format!("ringmaster-config-{}", std::process::id()));
    fs::create_dir_all(dir.join("phones.toml")).unwrap();
    let huge = fs::File::create(dir.join("queues.toml")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let report = load(&dir).unwrap_err().to_string();
    fs::remove_dir_all(&dir).unwrap();
    assert!(report.contains("phones.toml: not a file\n"), "{report}");
    assert!(
        report.contains("queues.toml: larger than 4 MiB\n"),
        "{report}"
    );
    assert!(
        report.contains("numbers.toml: cannot be read: "),
        "{report}"
    );
}

/// A change of the sample: a part of a file is replaced.
fn change() -> impl Strategy<Value = (usize, usize, usize, String)> {
    let snippets = prop::sample::select(vec![
        "",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "=",
        "\n",
        "#",
        ",",
        ".",
        "\0",
        "\u{feff}",
        "\r",
        "1e9",
        "[[queues.support.agents]]\n",
        "[queues.support]\n",
        "queues.support.agents.x = 1\n",
        "201",
        "{ agent = [] }",
        "-1",
        "inf",
        "1979-05-27",
        "\"\"\"",
        "\u{1f4de}",
        "agents = 5\n",
        "a.b.c.d=1\n",
    ]);
    let text = prop_oneof![snippets.prop_map(str::to_owned), any::<String>()];
    (0..4usize, any::<prop::sample::Index>(), 0..40usize, text).prop_map(
        |(file, at, length, text)| (file, at.index(sample::TEXTS[file].1.len()), length, text),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_of_the_sample_makes_check_panic(changes in prop::collection::vec(change(), 1..6)) {
        let mut texts = sample::TEXTS.map(|(file, text)| (file, text.to_owned()));
        for (file, at, length, inserted) in changes {
            let text = &mut texts[file].1;
            let is_border = |at: &usize| text.is_char_boundary(*at);
            let start = (0..=at.min(text.len())).rev().find(is_border).unwrap();
            let end = ((start + length).min(text.len())..=text.len()).find(is_border).unwrap();
            text.replace_range(start..end, &inserted);
        }
        if let Err(report) = load_texts(&sample_dir(), texts) {
            prop_assert!(report.count() > 0);
            prop_assert!(report.to_string().lines().count() > report.count());
        }
    }

    #[test]
    fn no_octets_make_check_panic(octets in prop::collection::vec(any::<u8>(), 0..300), file in 0..4usize) {
        let dir = std::env::temp_dir().join(format!("ringmaster-octets-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for (other, text) in sample::TEXTS {
            fs::write(dir.join(other.name()), text).unwrap();
        }
        fs::write(dir.join(File::ALL[file].name()), &octets).unwrap();
        let result = load(&dir);
        fs::remove_dir_all(&dir).unwrap();
        if let Err(report) = result {
            prop_assert!(report.count() > 0);
        }
    }
}

#[test]
fn the_trace_has_a_socket_that_fits_and_a_collector_that_can_be_reached() {
    let long = "a/".repeat(60);
    for (written, expected) in [
        ("socket = ''", "`` is no name for a socket"),
        (
            &*format!("socket = '/{long}s'"),
            "at most 107 octets, this one 122",
        ),
        (
            "hep = '192.0.2.9:9060'",
            "`192.0.2.9:9060`: write `udp:ADDRESS:PORT`",
        ),
        ("hep = 'udp:0.0.0.0:9060'", "`udp:0.0.0.0:9060`: write"),
        ("hep = 'udp:192.0.2.9:0'", "`udp:192.0.2.9:0`: write"),
        ("capture_id = 4294967296", "out of range: 0 to 4294967295"),
    ] {
        let report = told(File::Ringmaster, &format!("[trace]\n{written}"));
        assert!(report.contains(expected), "{report}");
    }
    let text = "[trace]\nhep = 'udp:[2001:db8::9]:9060'\ncapture_id = 7";
    let export = load_with(&[(File::Ringmaster, text)])
        .unwrap()
        .trace
        .export
        .unwrap();
    assert_eq!(
        (export.collector, export.capture_id),
        ("[2001:db8::9]:9060".parse().unwrap(), 7)
    );
}

#[test]
fn loudness_and_silence_are_set_for_everybody_and_for_one() {
    for (written, expected) in [
        ("gain_in = 20.5", "`gain_in` must be -20 to 20 dB, not 20.5"),
        ("gain_out = -21", "`gain_out` must be -20 to 20 dB, not -21"),
        ("gain_out = nan", "`gain_out` must be -20 to 20 dB, not NaN"),
        (
            "gain_in = '6'",
            "`gain_in` must be a number of dB, -20 to 20, not a text",
        ),
        (
            "automatic_level = 1",
            "`automatic_level` must be true or false, not a whole number",
        ),
        (
            "comfort_noise = 'no'",
            "`comfort_noise` must be true or false, not a text",
        ),
    ] {
        let report = told(File::Ringmaster, &format!("[rtp]\n{written}"));
        assert!(report.contains(expected), "{report}");
    }
    let rtp = "[rtp]\ngain_in = 3\nautomatic_level = true\ndtx = true";
    let phones = "[phones]\n201 = { password = 'Quiet-Otter-71', gain_in = -2.5, gain_out = +6, automatic_level = false, comfort_noise = false }\n\
        202 = { password = 'Quiet-Otter-72' }";
    let texts = [
        (File::Ringmaster, rtp),
        (File::Phones, phones),
        (File::Queues, ""),
        (File::Numbers, ""),
    ];
    let audio = load_with(&texts).unwrap().audio;
    let tenths = |tenths| media::loudness::Gain::of_tenths(tenths).unwrap();
    assert!(audio.everybody.comfort_noise && audio.everybody.dtx);
    assert_eq!(audio.everybody.loudness.says.gain, tenths(30));
    assert!(audio.everybody.loudness.says.automatic);
    assert_eq!(audio.of.len(), 1);
    let (phone, own) = audio.of.first_key_value().unwrap();
    assert_eq!(&*phone.0, "201");
    assert!(!own.comfort_noise && own.dtx && !own.loudness.says.automatic);
    assert_eq!(own.loudness.says.gain, tenths(-25));
    assert_eq!(own.loudness.hears, tenths(60));
}

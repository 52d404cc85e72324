//! Where test messages come from.

use std::path::Path;

/// A message of an RFC and the answers that satisfy it.
#[derive(Clone)]
pub(crate) struct Sample {
    /// The name in the RFC.
    pub(crate) name: String,
    /// The message as it is on the wire.
    pub(crate) octets: Vec<u8>,
    /// Status codes, `!` and a code, `silent` or `liberal`.
    pub(crate) accepted: Vec<String>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests read their samples; the crate itself touches no file"
)]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The messages of an index, e.g. `rfc4475`.
pub(crate) fn rfc(folder: &str) -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder);
    let index = String::from_utf8(read(&folder.join("index.tsv"))).unwrap();
    let mut lines = index
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let column = |name: &str| head.iter().position(|title| *title == name).unwrap();
    let (file, accepted) = (column("file"), column("accept_udp"));
    lines
        .map(|row| {
            let wire = folder.join("wire").join(format!("{}.dat", row[file]));
            let path = if wire.exists() {
                wire
            } else {
                folder.join(row[file])
            };
            Sample {
                name: row[file].trim_end_matches(".dat").to_owned(),
                octets: read(&path),
                accepted: row[accepted].split(',').map(str::to_owned).collect(),
            }
        })
        .collect()
}

/// One message of an RFC.
pub(crate) fn one(folder: &str, name: &str) -> Vec<u8> {
    rfc(folder)
        .into_iter()
        .find(|sample| sample.name == name)
        .unwrap()
        .octets
}

/// The messages of phones in `tests/data`, in the order of their names.
pub(crate) fn phones() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut paths: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sip"));
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths
        .iter()
        .map(|path| Sample {
            name: name(path),
            octets: read(path),
            accepted: Vec::new(),
        })
        .collect()
}

/// One message of a phone.
pub(crate) fn phone(name: &str) -> Vec<u8> {
    phones()
        .into_iter()
        .find(|sample| sample.name == name)
        .unwrap()
        .octets
}

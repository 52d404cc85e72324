//! The corpora of the fuzz targets, replayed: what was found once stays mended.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::Chance;
use testkit::targets::{TARGETS, run};

/// Programs drawn by chance for each target, besides its corpus.
const PROGRAMS: u64 = 300;
/// Octets of the longest of them.
const LONGEST: u64 = 600;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

#[test]
fn every_target_stands_its_corpus() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has a corpus");
        for file in files {
            println!("{}", file.display());
            target(&fs::read(&file).expect("a file that can be read"));
        }
    }
}

#[test]
fn every_target_stands_octets_drawn_by_chance() {
    for (name, _) in TARGETS {
        for seed in 0..PROGRAMS {
            let mut chance = Chance::new(seed);
            let length = chance.below(LONGEST);
            let octets: Vec<u8> = (0..length).map(|_| chance.below(256) as u8).collect();
            println!("{name} {seed}");
            run(name, &octets);
        }
    }
}

//! One binary for all targets of `testkit::targets`: `TARGET` names the one to run.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// Which target this process runs.
static TARGET: OnceLock<String> = OnceLock::new();

fuzz_target!(|octets: &[u8]| {
    let target = TARGET.get_or_init(|| std::env::var("TARGET").expect("TARGET names the target"));
    testkit::targets::run(target, octets);
});

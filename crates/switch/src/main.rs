//! The `ringmaster` binary.

mod sounds;

fn main() {}

//! The `ringmaster` binary.

mod recorder;
mod records;
mod sounds;

fn main() {}

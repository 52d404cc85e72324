//! The `ringmaster` binary.
fn main() {}

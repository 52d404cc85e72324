//! Measures the switch, a peer and the machine's limit.
fn main() {}

//! What the tests of the switch stand on.

mod chance;
mod corpora;

//! The world outside: trunks, whether they work, and the ways over them.
//!
//! * `settings`, `number`: what an administrator decided;
//! * `live`, `target`: the trunks as they are now: where they are, who is registered where, who answers, how many calls;
//! * `health`, `register`, `rate`: the parts of one trunk that have a time of their own;
//! * `names`: what their places must prove over TLS;
//! * `asks`: the requests that find it out;
//! * `accounts`: what accounts have used up;
//! * `ways`: who carries a call, in which order.

mod accounts;
mod asks;
mod health;
mod live;
mod names;
mod number;
mod rate;
mod register;
mod settings;
mod target;
mod ways;

pub use accounts::Spent;
pub use live::{LookUp, LookUpId};
pub use names::{Proof, Proofs};
pub use number::{MAX_NUMBER, Pattern, PatternFault, Rewrite, rewritten};
pub use settings::{
    Allowance, Caller, CertificateFiles, Host, HostName, Outside, Route, Shown, Trunk, Way,
};

pub use target::{Found, Place};

pub(crate) use accounts::Accounts;
pub(crate) use live::Trunks;
pub(crate) use ways::Candidate;

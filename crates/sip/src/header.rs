//! Header fields: their names, and typed views of their values, made on demand and borrowed from the message.

mod address;
mod credentials;
mod list;
mod name;
mod params;
mod refer;
mod scalar;
mod via;

pub use address::{Addresses, Contacts, NameAddr};
pub use credentials::Credentials;
pub use list::{items, tokens};
pub use name::Header;
pub use params::{Param, Params, unescape_quoted};
pub(crate) use refer::wants_reports;
pub use refer::{ReferTo, Replaces};
pub use scalar::{CSeq, MediaType, ReasonValue};
pub(crate) use scalar::{MaxForwards, decimal, delta_seconds, is_token, retry_after};
pub use via::Via;

/// The text does not follow the grammar of its field (RFC 3261 section 25.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text does not follow the grammar of its field")]
pub struct Malformed;

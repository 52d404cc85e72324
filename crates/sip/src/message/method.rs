//! Request methods.

use std::fmt;

use crate::header::{Malformed, is_token};

/// Lists every known method once.
macro_rules! methods {
    ($($variant:ident = $text:literal,)*) => {
        /// A request method; methods are case-sensitive (RFC 3261 section 7.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method<'a> {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// Any other token.
            Other(&'a str),
        }

        impl<'a> Method<'a> {
            /// The method that a token names.
            pub(crate) fn of_token(token: &'a str) -> Self {
                match token {
                    $($text => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The method as it is written.
            #[must_use]
            pub fn as_str(&self) -> &'a str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(other) => other,
                }
            }
        }
    };
}

methods! {
    Invite = "INVITE",
    Ack = "ACK",
    Bye = "BYE",
    Cancel = "CANCEL",
    Register = "REGISTER",
    Options = "OPTIONS",
    Info = "INFO",
    Message = "MESSAGE",
    Notify = "NOTIFY",
    Prack = "PRACK",
    Publish = "PUBLISH",
    Refer = "REFER",
    Subscribe = "SUBSCRIBE",
    Update = "UPDATE",
}

impl<'a> Method<'a> {
    /// Reads a method.
    ///
    /// # Errors
    /// `Malformed` if it is no token.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        if is_token(text) {
            Ok(Self::of_token(text))
        } else {
            Err(Malformed)
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

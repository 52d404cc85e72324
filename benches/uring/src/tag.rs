//! What a completion belongs to, in the 64 bits that io_uring carries along.

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// Datagrams of a socket.
    Receive { token: u16, generation: u32 },
    /// The datagram in a slot.
    Send { slot: u16 },
    /// The event descriptor is readable.
    Wake,
    /// The end of another request.
    Cancel,
}

const RECEIVE: u64 = 0;
const SEND: u64 = 1;
const WAKE: u64 = 2;
const CANCEL: u64 = 3;

impl From<Tag> for u64 {
    fn from(tag: Tag) -> Self {
        match tag {
            Tag::Receive { token, generation } => {
                RECEIVE << 48 | Self::from(generation) << 16 | Self::from(token)
            }
            Tag::Send { slot } => SEND << 48 | Self::from(slot),
            Tag::Wake => WAKE << 48,
            Tag::Cancel => CANCEL << 48,
        }
    }
}

impl From<u64> for Tag {
    fn from(bits: u64) -> Self {
        let (low, middle) = (bits as u16, (bits >> 16) as u32);
        match bits >> 48 {
            RECEIVE => Self::Receive {
                token: low,
                generation: middle,
            },
            SEND => Self::Send { slot: low },
            WAKE => Self::Wake,
            _ => Self::Cancel,
        }
    }
}

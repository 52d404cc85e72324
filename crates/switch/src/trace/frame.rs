//! What passes the control socket: a greeting, then frames of a length (4 octets), a kind (1) and what belongs to it, with
//! numbers in network order. Both ends are the same program; a reader of another version is told so by the greeting.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use sip::{Flow, Transport};

use super::{Dialog, Direction, Passed};

/// The first octets of the switch.
pub(super) const GREETING: &[u8; 16] = b"ringmaster trc 1";

/// Largest frame, in octets: a SIP message has at most 64 KiB.
const MAX_FRAME: usize = 128 * 1024;

const MESSAGE: u8 = 1;
const DIALOG: u8 = 2;
const LOST: u8 = 3;

/// What the switch tells a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message passed.
    Message(Passed),
    /// A dialog belongs to a call.
    Dialog(Dialog),
    /// So many frames are missing here, because the reader or the switch was too slow. 0 only shows that the switch lives.
    Lost(u64),
}

impl Frame {
    /// Writes the frame.
    pub(super) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let mut head = Vec::with_capacity(64);
        let body: &[u8] = match self {
            Self::Message(passed) => {
                head.put_u8(MESSAGE);
                head.put_u64(u64::try_from(passed.at.as_micros()).unwrap_or(u64::MAX));
                head.put_u8(match passed.direction {
                    Direction::Received => 0,
                    Direction::Sent => 1,
                });
                head.put_u8(match passed.flow.transport {
                    Transport::Udp => 0,
                    Transport::Tcp => 1,
                    Transport::Tls => 2,
                    Transport::Ws => 3,
                    Transport::Wss => 4,
                });
                put_address(&mut head, passed.flow.local);
                put_address(&mut head, passed.flow.remote);
                &passed.octets
            }
            Self::Dialog(dialog) => {
                head.put_u8(DIALOG);
                head.put_u16(u16::try_from(dialog.call.len()).unwrap_or(0));
                head.put_slice(dialog.call.as_bytes());
                dialog.call_id.as_bytes()
            }
            Self::Lost(count) => {
                head.put_u8(LOST);
                head.put_u64(*count);
                &[]
            }
        };
        let length = u32::try_from(head.len() + body.len()).unwrap_or(u32::MAX);
        output.write_all(&length.to_be_bytes())?;
        output.write_all(&head)?;
        output.write_all(body)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Those of the input; `InvalidData` for anything that `write` does not write.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut octets = vec![0; length];
        input.read_exact(&mut octets)?;
        Self::parse(Bytes::from(octets)).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(mut octets: Bytes) -> Option<Self> {
        Some(match octets.try_get_u8().ok()? {
            MESSAGE => {
                let at = Duration::from_micros(octets.try_get_u64().ok()?);
                let direction = match octets.try_get_u8().ok()? {
                    0 => Direction::Received,
                    1 => Direction::Sent,
                    _ => return None,
                };
                let transport = match octets.try_get_u8().ok()? {
                    0 => Transport::Udp,
                    1 => Transport::Tcp,
                    2 => Transport::Tls,
                    3 => Transport::Ws,
                    4 => Transport::Wss,
                    _ => return None,
                };
                let flow = Flow {
                    transport,
                    local: address(&mut octets)?,
                    remote: address(&mut octets)?,
                };
                Self::Message(Passed {
                    at,
                    direction,
                    flow,
                    octets,
                })
            }
            DIALOG => {
                let length = usize::from(octets.try_get_u16().ok()?);
                if octets.len() < length {
                    return None;
                }
                let call = octets.split_to(length);
                let text = |octets: &[u8]| str::from_utf8(octets).map(str::to_owned).ok();
                Self::Dialog(Dialog {
                    call: text(&call)?,
                    call_id: text(&octets)?,
                })
            }
            LOST => Self::Lost(octets.try_get_u64().ok()?),
            _ => return None,
        })
    }
}

fn put_address(head: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            head.put_u8(4);
            head.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            head.put_u8(6);
            head.put_slice(&ip.octets());
        }
    }
    head.put_u16(address.port());
}

fn address(octets: &mut Bytes) -> Option<SocketAddr> {
    let ip: IpAddr = match octets.try_get_u8().ok()? {
        4 => octets.try_get_u32().ok()?.to_be_bytes().into(),
        6 => octets.try_get_u128().ok()?.to_be_bytes().into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, octets.try_get_u16().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_as_it_was_written_and_a_cut_one_is_refused() {
        let message = |transport, local: &str, remote: &str| {
            Frame::Message(Passed {
                at: Duration::from_micros(1_795_209_600_123_456),
                direction: Direction::Sent,
                flow: Flow {
                    transport,
                    local: local.parse().unwrap(),
                    remote: remote.parse().unwrap(),
                },
                octets: Bytes::from_static(b"OPTIONS \0\xff"),
            })
        };
        for frame in [
            message(Transport::Udp, "192.0.2.1:5060", "192.0.2.7:5062"),
            message(Transport::Tcp, "[2001:db8::1]:5060", "[2001:db8::7]:1024"),
            Frame::Dialog(Dialog {
                call: "20261120T212000123-5".into(),
                call_id: "a@b".into(),
            }),
            Frame::Lost(7),
        ] {
            let mut octets = Vec::new();
            frame.write(&mut octets).unwrap();
            assert_eq!(Frame::read(&mut &octets[..]).unwrap(), frame);
            for length in 0..octets.len() {
                assert!(Frame::read(&mut &octets[..length]).is_err());
            }
        }
    }
}

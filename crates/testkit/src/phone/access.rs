//! How a phone reaches the switch.

use sip::Transport;

/// How a phone reaches the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// UDP, or a connection of its own.
    pub transport: Transport,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// The same for its sound.
    pub sound_ipv6: bool,
}

impl Access {
    /// UDP over IPv4.
    pub const UDP: Self = Self::new(Transport::Udp, false);
    /// TCP over IPv4.
    pub const TCP: Self = Self::new(Transport::Tcp, false);
    /// TLS over IPv4.
    pub const TLS: Self = Self::new(Transport::Tls, false);
    /// UDP over IPv6.
    pub const UDP6: Self = Self::new(Transport::Udp, true);
    /// TCP over IPv6.
    pub const TCP6: Self = Self::new(Transport::Tcp, true);

    /// UDP over IPv4, sound over IPv6.
    pub const UDP_SOUND6: Self = Self {
        sound_ipv6: true,
        ..Self::UDP
    };
    /// UDP over IPv6, sound over IPv4.
    pub const UDP6_SOUND4: Self = Self {
        sound_ipv6: false,
        ..Self::UDP6
    };

    const fn new(transport: Transport, ipv6: bool) -> Self {
        Self {
            transport,
            ipv6,
            sound_ipv6: ipv6,
        }
    }
}

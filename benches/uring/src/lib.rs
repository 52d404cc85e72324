//! UDP sockets of one thread, served in batches over io_uring (Linux 6.1 or newer): one system call hands over all that is to be sent
//! and brings all that came.
//!
//! Only the benches name it, to tell what the switch would gain (`bench layouts`), so that the switch itself is without `unsafe`. The
//! kernel reads and writes memory whose address it was told. What makes that sound is short: the memory stands in `Slots` and in one
//! message header, a `Slot` belongs either to us or to the kernel, and [`Ring`] frees both only when the kernel has ended every request
//! (or never).

mod address;
mod slots;
mod tag;

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use address::ADDRESS_OCTETS;
use slots::{Slot, Slots};
use tag::Tag;

/// Longest datagram taken, in octets; a longer one is dropped.
pub const MAX_DATAGRAM: usize = 2048;

/// Slots of a ring, 8 MB: where packets pass through all of them in turn.
const SLOTS: u16 = 4096;
/// How many of them the kernel has to write into: all that 5,000 legs get within 12 ms. When there is none, datagrams wait in their
/// sockets, whose receives are then begun again.
const PROVIDED: usize = 3072;
/// Requests handed over together at most; more take one more system call.
const REQUESTS: u32 = 1024;
/// Completions that wait to be taken; more wait in the kernel.
const COMPLETIONS: u32 = 8192;
/// The group of slots, as the kernel calls it.
const GROUP: u16 = 0;
/// How often the end waits for the kernel to let go, and how long each time.
const LAST_WAITS: usize = 100;
const LAST_WAIT: Duration = Duration::from_millis(10);

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A datagram, which is now in hand.
    Datagram {
        /// The token of its socket.
        token: u16,
        /// Who sent it.
        source: SocketAddr,
        /// Its octets.
        length: usize,
    },
    /// Somebody wrote to the event descriptor.
    Woken,
}

/// Watched sockets and one datagram in hand.
pub struct Ring<S> {
    uring: IoUring,
    /// What each receive is told: only how long an address may be. The kernel reads it as long as there are requests.
    header: ManuallyDrop<Box<libc::msghdr>>,
    slots: ManuallyDrop<Slots>,
    /// Those that we have.
    free: Vec<Slot>,
    /// How many the kernel has to write into.
    provided: usize,
    /// By token.
    sockets: Vec<Watched<S>>,
    /// Whose receives have ended by themselves.
    idle: Vec<u16>,
    arrived: VecDeque<Arrived>,
    hand: Option<Slot>,
    wake: Arc<OwnedFd>,
    /// Requests that the kernel has not ended.
    under_way: usize,
    sent: u64,
    failed: u64,
}

#[derive(Debug)]
struct Watched<S> {
    socket: Option<Arc<S>>,
    /// Counts how often the token was given, so that what comes late is known.
    generation: u32,
}

#[derive(Debug)]
enum Arrived {
    Datagram {
        token: u16,
        generation: u32,
        slot: Slot,
    },
    Woken,
}

impl<S: AsFd> Ring<S> {
    /// A ring that watches nothing but `wake`, an event descriptor. It serves the thread that makes it.
    ///
    /// # Errors
    /// The kernel is older than 6.1, or does not permit io_uring (containers, `kernel.io_uring_disabled`).
    pub fn new(wake: Arc<OwnedFd>) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(REQUESTS)?;
        let (slots, free) = Slots::new(SLOTS);
        let address = slots.ring_address();
        // SAFETY: the ring of the slots is of that size and is freed after `uring`, or never.
        unsafe {
            uring
                .submitter()
                .register_buf_ring_with_flags(address, SLOTS, GROUP, 0)
        }?;
        // SAFETY: all zero is a header without an address, buffers or control data.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_namelen = ADDRESS_OCTETS as libc::socklen_t;
        let mut ring = Self {
            uring,
            header: ManuallyDrop::new(Box::new(header)),
            slots: ManuallyDrop::new(slots),
            free: Vec::with_capacity(free.len()),
            provided: 0,
            sockets: Vec::new(),
            idle: Vec::new(),
            arrived: VecDeque::new(),
            hand: None,
            wake,
            under_way: 0,
            sent: 0,
            failed: 0,
        };
        for slot in free {
            ring.release(slot);
        }
        ring.watch_wake();
        Ok(ring)
    }

    /// Takes what comes to a socket from now on; the token names it in `Arrival` and `send`.
    pub fn watch(&mut self, token: u16, socket: Arc<S>) {
        let place = usize::from(token);
        while self.sockets.len() <= place {
            self.sockets.push(Watched {
                socket: None,
                generation: 0,
            });
        }
        self.sockets[place].socket = Some(socket);
        self.begin_receive(token);
    }

    /// Takes nothing more of a socket: what is in the socket stays there.
    pub fn forget(&mut self, token: u16) {
        let Some(watched) = self.sockets.get_mut(usize::from(token)) else {
            return;
        };
        if watched.socket.is_none() {
            return;
        }
        let receive = Tag::Receive {
            token,
            generation: watched.generation,
        };
        watched.generation = watched.generation.wrapping_add(1);
        let cancel = opcode::AsyncCancel::new(receive.into()).build();
        self.request(cancel, Tag::Cancel);
        // Before the socket is let go, no request that waits may name it any more.
        let _ = self.uring.submit();
        self.sockets[usize::from(token)].socket = None;
    }

    /// Hands over what is to be sent and waits until so many datagrams (or wake-ups) came, one at least, or `timeout` is over.
    ///
    /// # Errors
    /// What the kernel says; what was to be sent is then sent with the next wait.
    pub fn wait(&mut self, datagrams: u32, timeout: Option<Duration>) -> io::Result<()> {
        for token in std::mem::take(&mut self.idle) {
            self.begin_receive(token);
        }
        let timeout = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(timeout) = &timeout {
            args = args.timespec(timeout);
        }
        let waited = self
            .uring
            .submitter()
            .submit_with_args(datagrams.max(1) as usize, &args);
        self.reap();
        match waited {
            Err(error)
                if !matches!(
                    error.raw_os_error(),
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY)
                ) =>
            {
                Err(error)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What came next; what was in hand is not any more.
    pub fn arrival(&mut self) -> Option<Arrival> {
        if let Some(slot) = self.hand.take() {
            self.release(slot);
        }
        while let Some(arrived) = self.arrived.pop_front() {
            let Arrived::Datagram {
                token,
                generation,
                slot,
            } = arrived
            else {
                return Some(Arrival::Woken);
            };
            match self
                .slots
                .received(&slot)
                .filter(|_| self.is_watched(token, generation))
            {
                Some((source, length)) => {
                    self.hand = Some(slot);
                    return Some(Arrival::Datagram {
                        token,
                        source,
                        length,
                    });
                }
                None => self.release(slot),
            }
        }
        None
    }

    /// The datagram in hand, or room for one that is to be sent. None while all room is in use.
    pub fn datagram(&mut self) -> Option<&mut [u8; MAX_DATAGRAM]> {
        if self.hand.is_none() && self.free.is_empty() {
            // What was sent gives its slots back.
            let _ = self.uring.submit();
            self.reap();
        }
        let slot = match self.hand.take() {
            Some(slot) => slot,
            None => self.free.pop()?,
        };
        Some(self.slots.datagram(self.hand.insert(slot)))
    }

    /// Sends the first octets of the datagram in hand with the next `wait`; false: nothing is in hand, or the socket is not watched.
    pub fn send(&mut self, token: u16, to: SocketAddr, length: usize) -> bool {
        let socket = self
            .sockets
            .get(usize::from(token))
            .and_then(|watched| watched.socket.as_ref());
        let Some(socket) = socket.map(|socket| Fd(socket.as_fd().as_raw_fd())) else {
            return false;
        };
        let Some(slot) = self.hand.take() else {
            return false;
        };
        let (address, datagram, address_length) = self.slots.address_to(&slot, to);
        let send = opcode::Send::new(socket, datagram, length.min(MAX_DATAGRAM) as u32)
            .dest_addr(address.cast())
            .dest_addr_len(address_length as libc::socklen_t)
            .flags(libc::MSG_DONTWAIT)
            .build();
        // The slot is the kernel's until the request is complete.
        self.request(
            send,
            Tag::Send {
                slot: slot.number(),
            },
        );
        true
    }

    /// How many datagrams the kernel has sent, and how many it has not taken.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        (self.sent, self.failed)
    }

    fn is_watched(&self, token: u16, generation: u32) -> bool {
        let watched = &self.sockets[usize::from(token)];
        watched.socket.is_some() && watched.generation == generation
    }

    fn begin_receive(&mut self, token: u16) {
        let watched = &self.sockets[usize::from(token)];
        let Some(socket) = &watched.socket else {
            return;
        };
        let tag = Tag::Receive {
            token,
            generation: watched.generation,
        };
        let socket = Fd(socket.as_fd().as_raw_fd());
        let receive = opcode::RecvMsgMulti::new(socket, &raw const **self.header, GROUP).build();
        self.request(receive, tag);
    }

    fn watch_wake(&mut self) {
        let poll = opcode::PollAdd::new(Fd(self.wake.as_raw_fd()), libc::POLLIN as u32);
        self.request(poll.multi(true).build(), Tag::Wake);
    }

    /// Hands a request over, or has it wait for the next time.
    fn request(&mut self, entry: squeue::Entry, tag: Tag) {
        let entry = entry.user_data(tag.into());
        self.under_way += 1;
        loop {
            // SAFETY: what the entry points to is the header or a slot that now is the kernel's; both stay until it is complete.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
            // No room: what waits goes first. Without room for completions the kernel takes nothing, so they are taken, too.
            if self.uring.submit().is_err() {
                self.reap();
            }
        }
    }

    fn completion(&mut self) -> Option<cqueue::Entry> {
        self.uring.completion().next()
    }

    /// Takes what the kernel has completed.
    fn reap(&mut self) {
        while let Some(entry) = self.completion() {
            let (result, flags) = (entry.result(), entry.flags());
            let ends = !cqueue::more(flags);
            self.under_way -= usize::from(ends);
            match Tag::from(entry.user_data()) {
                Tag::Receive { token, generation } => {
                    if let Some(number) = cqueue::buffer_select(flags) {
                        // SAFETY: this completion gives it back, once.
                        let slot = unsafe { self.slots.take(number) };
                        self.provided -= 1;
                        self.arrived.push_back(Arrived::Datagram {
                            token,
                            generation,
                            slot,
                        });
                    }
                    if ends && self.is_watched(token, generation) {
                        self.idle.push(token);
                    }
                }
                Tag::Send { slot } => {
                    // SAFETY: this completion gives it back, once.
                    let slot = unsafe { self.slots.take(slot) };
                    self.release(slot);
                    self.sent += u64::from(result >= 0);
                    self.failed += u64::from(result < 0);
                }
                Tag::Wake => {
                    self.arrived.push_back(Arrived::Woken);
                    if ends {
                        self.watch_wake();
                    }
                }
                Tag::Cancel => {}
            }
        }
    }

    /// Gives a slot to the kernel if it has too few, else keeps it.
    fn release(&mut self, slot: Slot) {
        if self.provided < PROVIDED {
            self.slots.provide(slot);
            self.provided += 1;
        } else {
            self.free.push(slot);
        }
    }
}

impl<S> Drop for Ring<S> {
    fn drop(&mut self) {
        let submitter = self.uring.submitter();
        let _ =
            submitter.register_sync_cancel(Some(Timespec::from(LAST_WAIT)), CancelBuilder::any());
        for _ in 0..LAST_WAITS {
            if self.under_way == 0 {
                break;
            }
            let timeout = Timespec::from(LAST_WAIT);
            let _ = self
                .uring
                .submitter()
                .submit_with_args(1, &SubmitArgs::new().timespec(&timeout));
            while let Some(entry) = self.uring.completion().next() {
                self.under_way -= usize::from(!cqueue::more(entry.flags()));
            }
        }
        // What the kernel may still write to is never freed.
        if self.under_way == 0 {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.slots) };
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.header) };
        }
    }
}

impl<S> std::fmt::Debug for Ring<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("under_way", &self.under_way)
            .field("provided", &self.provided)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    const SECOND: Option<Duration> = Some(Duration::from_secs(1));

    fn event() -> Arc<OwnedFd> {
        // SAFETY: it takes two numbers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        assert!(descriptor >= 0);
        // SAFETY: it is open and nobody else's.
        Arc::new(unsafe { std::os::fd::FromRawFd::from_raw_fd(descriptor) })
    }

    /// A ring; none where the kernel has none for us.
    fn ring() -> Option<Ring<UdpSocket>> {
        match Ring::new(event()) {
            Ok(ring) => Some(ring),
            Err(error) => {
                println!("skipped: no io_uring here ({error})");
                None
            }
        }
    }

    fn socket() -> (Arc<UdpSocket>, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (Arc::new(socket), address)
    }

    fn next(ring: &mut Ring<UdpSocket>) -> Option<Arrival> {
        let arrival = ring.arrival();
        if arrival.is_some() {
            return arrival;
        }
        ring.wait(1, SECOND).unwrap();
        ring.arrival()
    }

    #[test]
    fn datagrams_come_with_their_source_and_go_back_from_where_they_lie() {
        let Some(mut ring) = ring() else { return };
        let ((ours, here), (peer, source)) = (socket(), socket());
        ring.watch(7, ours);
        for number in 0..10_000_u32 {
            peer.send_to(&number.to_be_bytes(), here).unwrap();
            let arrival = Arrival::Datagram {
                token: 7,
                source,
                length: 4,
            };
            assert_eq!(next(&mut ring), Some(arrival));
            let datagram = ring.datagram().unwrap();
            assert_eq!(datagram[..4], number.to_be_bytes());
            datagram[4] = 9;
            assert!(ring.send(7, source, 5));
            ring.wait(1, Some(Duration::ZERO)).unwrap();
            let mut back = [0; 16];
            assert_eq!(peer.recv_from(&mut back).unwrap(), (5, here));
            assert_eq!(back[..5], [&number.to_be_bytes()[..], &[9]].concat());
        }
        assert_eq!(ring.sent(), (10_000, 0));
    }

    #[test]
    fn more_datagrams_than_slots_all_come() {
        let Some(mut ring) = ring() else { return };
        let sockets: Vec<_> = (0..40).map(|_| socket()).collect();
        let (peer, _) = socket();
        for (token, (ours, _)) in sockets.iter().enumerate() {
            ring.watch(token as u16, Arc::clone(ours));
        }
        for _ in 0..150 {
            for (_, here) in &sockets {
                peer.send_to(&[1; 100], here).unwrap();
            }
        }
        let mut came = 0;
        while let Some(arrival) = next(&mut ring) {
            assert!(matches!(arrival, Arrival::Datagram { length: 100, .. }));
            came += 1;
        }
        assert_eq!(came, 40 * 150);
    }

    #[test]
    fn what_a_forgotten_socket_gets_is_not_ours() {
        let Some(mut ring) = ring() else { return };
        let ((ours, here), (peer, _)) = (socket(), socket());
        ring.watch(1, Arc::clone(&ours));
        peer.send_to(b"before", here).unwrap();
        ring.wait(1, SECOND).unwrap();
        ring.forget(1);
        assert_eq!(ring.arrival(), None);
        peer.send_to(b"after", here).unwrap();
        ring.wait(1, Some(Duration::from_millis(50))).unwrap();
        assert_eq!(ring.arrival(), None);
        let mut buffer = [0; 16];
        assert_eq!(ours.recv(&mut buffer).unwrap(), 5, "it stays in the socket");
        assert_eq!(Arc::strong_count(&ours), 1);
        ring.watch(1, ours);
        peer.send_to(b"again!", here).unwrap();
        assert!(matches!(
            next(&mut ring),
            Some(Arrival::Datagram {
                token: 1,
                length: 6,
                ..
            })
        ));
    }

    #[test]
    fn a_datagram_that_is_too_long_is_dropped() {
        let Some(mut ring) = ring() else { return };
        let ((ours, here), (peer, _)) = (socket(), socket());
        ring.watch(1, ours);
        for length in [MAX_DATAGRAM + 1, 4000, MAX_DATAGRAM] {
            peer.send_to(&vec![1; length], here).unwrap();
        }
        assert!(matches!(
            next(&mut ring),
            Some(Arrival::Datagram {
                length: MAX_DATAGRAM,
                ..
            })
        ));
    }

    #[test]
    fn a_wait_ends_when_it_is_woken_and_room_for_datagrams_has_an_end() {
        let Some(mut ring) = ring() else { return };
        let one = 1_u64.to_ne_bytes();
        // SAFETY: it reads eight octets that are there.
        unsafe { libc::write(ring.wake.as_raw_fd(), one.as_ptr().cast(), 8) };
        assert_eq!(next(&mut ring), Some(Arrival::Woken));
        let (ours, here) = socket();
        ring.watch(1, ours);
        for _ in 0..20_000 {
            ring.datagram().expect("what was sent gives its room back")[0] = 1;
            assert!(ring.send(1, here, 1));
        }
        assert!(
            !ring.send(2, here, 1),
            "nothing is in hand and nobody is watched"
        );
    }
}

//! The memory that the kernel reads and writes: one slot for each datagram, and the ring that tells the kernel which ones are free.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::net::SocketAddr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::MAX_DATAGRAM;
use crate::address::{self, ADDRESS_OCTETS};

/// What the kernel writes before the address: lengths and flags (`struct io_uring_recvmsg_out`).
const HEADER_OCTETS: usize = 16;
/// Where the datagram begins.
const DATA: usize = HEADER_OCTETS + ADDRESS_OCTETS;
/// A whole number of cache lines, so that two slots share none.
pub(crate) const SLOT_OCTETS: usize = (DATA + MAX_DATAGRAM).next_multiple_of(64);
/// The kernel wants the ring on a page.
const PAGE: usize = 4096;
/// Where the kernel's flags and the datagram's length stand in the header.
const LENGTH_AT: usize = 8;
const FLAGS_AT: usize = 12;

/// A slot that is ours: neither the kernel nor anybody else has it.
#[derive(Debug)]
pub(crate) struct Slot(u16);

impl Slot {
    /// Its number, as the kernel calls it.
    pub(crate) fn number(&self) -> u16 {
        self.0
    }
}

/// All slots. They are freed with this, which must outlive what the kernel was told of them.
#[derive(Debug)]
pub(crate) struct Slots {
    memory: NonNull<u8>,
    /// As many entries as there are slots, a power of two.
    ring: NonNull<BufRingEntry>,
    count: u16,
    /// Where the next entry of the ring goes.
    tail: u16,
}

// SAFETY: it owns its memory; only the kernel knows the addresses besides.
unsafe impl Send for Slots {}

fn layouts(count: u16) -> (Layout, Layout) {
    let memory = Layout::from_size_align(SLOT_OCTETS * usize::from(count), PAGE);
    let ring = Layout::from_size_align(size_of::<BufRingEntry>() * usize::from(count), PAGE);
    let fits = "invariant: 32,768 slots are 70 MB";
    (memory.expect(fits), ring.expect(fits))
}

impl Slots {
    /// `count` slots, a power of two up to 32,768; all of them are given out.
    pub(crate) fn new(count: u16) -> (Self, Vec<Slot>) {
        assert!(count.is_power_of_two(), "the kernel wants a power of two");
        let (memory, ring) = layouts(count);
        let slots = Self {
            memory: allocate(memory),
            ring: allocate(ring).cast(),
            count,
            tail: 0,
        };
        (slots, (0..count).map(Slot).collect())
    }

    /// Where the ring stands, for the kernel.
    pub(crate) fn ring_address(&self) -> u64 {
        self.ring.as_ptr() as u64
    }

    /// Gives a slot to the kernel, to write a datagram into.
    pub(crate) fn provide(&mut self, slot: Slot) {
        let Slot(number) = slot;
        let place = usize::from(self.tail & (self.count - 1));
        // SAFETY: the place is below `count`, so that it lies in the ring.
        let entry = unsafe { self.ring.add(place) };
        let address = self.start(number) as u64;
        let entry = entry.as_ptr();
        // SAFETY: the kernel reads entries up to the tail only, which this one is behind of.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(SLOT_OCTETS as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the ring begins there.
        let tail = unsafe { BufRingEntry::tail(self.ring.as_ptr()) };
        // SAFETY: the tail lies in the ring and is only touched as an atomic from here on; the kernel only reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// The slot that the kernel has written into.
    ///
    /// # Safety
    /// The kernel has given it back: a completion told so, and this is called once for that completion.
    pub(crate) unsafe fn take(&self, number: u16) -> Slot {
        assert!(
            number < self.count,
            "the kernel tells a slot that it was given"
        );
        Slot(number)
    }

    /// Whose datagram lies in the slot and how long it is. None if it was longer than `MAX_DATAGRAM`, or nobody's.
    pub(crate) fn received(&mut self, slot: &Slot) -> Option<(SocketAddr, usize)> {
        let octets = self.octets(slot);
        let word = |at: usize| octets[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
        let (length, flags) = (word(LENGTH_AT) as usize, word(FLAGS_AT));
        let is_whole = flags & libc::MSG_TRUNC as u32 == 0 && length <= MAX_DATAGRAM;
        let source = address::read(&octets[HEADER_OCTETS..DATA])?;
        is_whole.then_some((source, length))
    }

    /// Room for a datagram: what the kernel wrote, or what is to be sent.
    pub(crate) fn datagram(&mut self, slot: &Slot) -> &mut [u8; MAX_DATAGRAM] {
        let octets = &mut self.octets(slot)[DATA..DATA + MAX_DATAGRAM];
        octets.try_into().expect("invariant: so many octets")
    }

    /// Writes whom the datagram goes to; gives where both stand and how long the address is. They stay there until the slot is used
    /// again, so that the kernel may read them until then.
    pub(crate) fn address_to(
        &mut self,
        slot: &Slot,
        to: SocketAddr,
    ) -> (*const u8, *const u8, usize) {
        let place = &mut self.octets(slot)[HEADER_OCTETS..DATA];
        let length = address::write(to, place);
        let start = self.start(slot.0).cast_const();
        (
            start.wrapping_add(HEADER_OCTETS),
            start.wrapping_add(DATA),
            length,
        )
    }

    fn start(&self, number: u16) -> *mut u8 {
        let offset = SLOT_OCTETS * usize::from(number);
        self.memory.as_ptr().wrapping_add(offset)
    }

    fn octets(&mut self, slot: &Slot) -> &mut [u8] {
        let start = self.start(slot.0);
        // SAFETY: the octets lie in `memory`, are initialised (zeroed), and while there is this `Slot` nobody else touches them.
        unsafe { std::slice::from_raw_parts_mut(start, SLOT_OCTETS) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let (memory, ring) = layouts(self.count);
        // SAFETY: allocated by `new` with this layout, freed once.
        unsafe { dealloc(self.memory.as_ptr(), memory) };
        // SAFETY: allocated by `new` with this layout, freed once.
        unsafe { dealloc(self.ring.as_ptr().cast(), ring) };
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here is empty.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

//! Octets as they are written: on the stack as long as they fit there.

/// Octets that find room without an allocation: nearly every message without its body has fewer.
const ROOM: usize = 1024;

/// What was written so far.
#[derive(Debug)]
pub(super) struct Page {
    front: [u8; ROOM],
    len: usize,
    /// All of it, once it is longer than `ROOM`; empty before.
    long: Vec<u8>,
}

impl Page {
    pub(super) const fn new() -> Self {
        Self {
            front: [0; ROOM],
            len: 0,
            long: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn put(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        match self.front.get_mut(self.len..end) {
            Some(free) => free.copy_from_slice(octets),
            None => self.put_long(octets),
        }
        self.len = end;
    }

    #[inline]
    pub(super) fn push(&mut self, octet: u8) {
        match self.front.get_mut(self.len) {
            Some(free) => *free = octet,
            None => self.put_long(&[octet]),
        }
        self.len += 1;
    }

    fn put_long(&mut self, octets: &[u8]) {
        if self.long.is_empty() {
            self.long.extend_from_slice(&self.front[..self.len]);
        }
        self.long.extend_from_slice(octets);
        debug_assert_eq!(self.long.len(), self.len + octets.len());
    }

    /// All that was written.
    pub(super) fn octets(&mut self) -> &mut [u8] {
        if self.long.is_empty() {
            &mut self.front[..self.len]
        } else {
            &mut self.long
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_on_the_stack_goes_on_in_memory() {
        let (mut page, mut expected) = (Page::new(), Vec::new());
        for length in [0, 1, ROOM - 2, 0, 1, 0, 1, 3 * ROOM, 5] {
            let octets = vec![b'a' + expected.len() as u8 % 26; length];
            page.put(&octets);
            page.push(b'.');
            expected.extend(octets);
            expected.push(b'.');
            assert_eq!(page.octets(), expected);
            assert_eq!(page.len(), expected.len());
        }
    }
}

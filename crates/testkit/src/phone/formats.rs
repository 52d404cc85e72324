//! Phones with other formats than G.711 alone: they say a pattern of octets, by which one sees what became of it.

use media::g711::Law;

use super::Phone;

/// Comfort noise (RFC 3551 section 6).
const NOISE: u8 = 13;

impl Phone {
    /// The formats of its description: all if it offers, for which it has both forms of G.711 to say; else what it answers.
    pub(super) fn formats_for(&self, codecs: &[Law]) -> String {
        let offers = codecs.len() > 1 || self.told.is_empty();
        let formats: Vec<u8> = if offers {
            self.formats.to_vec()
        } else {
            let has = |it: &u8| *it == NOISE && self.formats.contains(it);
            let noise = self.told_formats().into_iter().find(has);
            self.chosen().into_iter().chain(noise).collect()
        };
        let formats: Vec<String> = formats.iter().map(u8::to_string).collect();
        if formats.is_empty() {
            return "77".to_owned();
        }
        formats.join(" ")
    }

    /// What it says, packet after packet; none while it speaks G.711 as all others.
    #[must_use]
    pub fn says(&self) -> Option<(u8, Vec<u8>)> {
        let chosen = self.chosen()?;
        let payload = match chosen {
            3 => vec![0xD5; 33],
            18 => vec![0x5A; 20],
            // 20 ms of wideband speech.
            111 => [vec![9 << 3], vec![0x5A; 30]].concat(),
            _ => vec![0x5A; 160],
        };
        Some((chosen, payload))
    }

    /// The first format that it was told and has.
    fn chosen(&self) -> Option<u8> {
        let mut told = self.told_formats().into_iter();
        told.find(|it| *it != NOISE && self.formats.contains(it))
    }

    /// The formats of the last description that it got.
    #[must_use]
    pub fn told_formats(&self) -> Vec<u8> {
        let media = self.told.lines().find_map(|it| it.strip_prefix("m=audio "));
        let formats = media.into_iter().flat_map(|it| it.split(' ').skip(2));
        formats.flat_map(str::parse).collect()
    }
}

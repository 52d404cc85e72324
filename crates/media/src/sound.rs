//! A sound in memory: mono, 8 kHz, decoded once, encoded once per codec, shared by all listeners.

/// A decoded sound.
#[derive(Debug)]
pub struct Sound {
    #[expect(dead_code, reason = "skeleton")]
    samples: Vec<i16>,
}

impl Sound {
    /// A sound of 16-bit samples at 8 kHz, mono.
    #[must_use]
    pub fn new(samples: Vec<i16>) -> Self {
        Self { samples }
    }
}

//! Who has to prove its name over TLS: what call control says of trunks, and what was read for them.

use std::collections::HashMap;

use call::trunk::{Proof, Proofs};
use net::sip::tls;
use tracing::warn;

use crate::config::Papers;

/// See the module.
#[derive(Debug)]
pub(crate) struct Peers {
    proofs: Proofs,
    papers: Papers,
}

impl Peers {
    /// Nobody yet.
    pub(crate) fn new(papers: Papers) -> Self {
        let proofs = Proofs::default();
        Self { proofs, papers }
    }

    /// What trunks have to prove now.
    pub(crate) fn prove(&mut self, proofs: Proofs) {
        self.proofs = proofs;
    }

    /// What was read anew.
    pub(crate) fn take(&mut self, papers: Papers) {
        self.papers = papers;
    }

    /// For the transports.
    pub(crate) fn all(&self) -> tls::Peers {
        let Proofs { places, sources } = &self.proofs;
        let mut peers = HashMap::new();
        for (place, proof) in places {
            match self.papers.peer(proof) {
                Some(peer) => drop(peers.insert(*place, peer)),
                None => {
                    warn!(%place, name = proof.name, "not reached over TLS: nobody can vouch for it");
                }
            }
        }
        let guest = |(source, proof): (&_, &Proof)| (*source, self.papers.peer(proof));
        let mut sources: Vec<_> = sources.iter().map(guest).collect();
        // Of two networks around an address the narrower one says more.
        sources.sort_by_key(|(source, _)| std::cmp::Reverse(source.prefix));
        tls::Peers {
            places: peers,
            sources,
        }
    }
}

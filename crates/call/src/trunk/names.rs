//! What trunks must prove over TLS, and what we show them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use sip::endpoint::{Account, Source};
use sip::{Flow, Transport};
use tracing::warn;

use super::settings::CertificateFiles;

/// What a certificate must show, and who may have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// A host name or an address.
    pub name: String,
    /// The file with the authorities; none: those of the system.
    pub authorities: Option<PathBuf>,
    /// What we show where we connect; none: nothing.
    pub certificate: Option<CertificateFiles>,
}

/// Who has to prove what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    /// Where we connect, by place. A place has one: a connection that proved one name must carry nothing that was meant for another.
    pub places: BTreeMap<SocketAddr, Proof>,
    /// Those who connect to us from there.
    pub sources: BTreeMap<Source, Proof>,
}

/// What was told of the proofs, and what is to be told.
#[derive(Debug, Default)]
pub(crate) struct Names {
    told: Proofs,
    next: Proofs,
    is_news: bool,
}

impl Names {
    /// All targets are asked for once more.
    pub(super) fn begin(&mut self) {
        self.next = Proofs::default();
    }

    /// Whether a target may be used: over TLS, if nobody who was asked for before calls its place by another name.
    pub(super) fn admit(&mut self, flow: Flow, proof: &Proof, trunk: &Account) -> bool {
        if flow.transport != Transport::Tls {
            return true;
        }
        let first = self
            .next
            .places
            .entry(flow.remote)
            .or_insert_with(|| proof.clone());
        let admits = first == proof;
        if !admits {
            let (place, name) = (flow.remote, &first.name);
            warn!(trunk = &*trunk.0, %place, other = name, "not used: another trunk calls this place by another name, or shows it another certificate");
        }
        admits
    }

    /// Who connects from one of these has to prove a name: the one that was asked for first.
    pub(super) fn expect(&mut self, sources: &[Source], proof: &Proof) {
        for source in sources {
            // A connection comes from any port.
            let source = Source {
                port: None,
                ..*source
            };
            let sources = &mut self.next.sources;
            sources.entry(source).or_insert_with(|| proof.clone());
        }
    }

    /// All were asked for.
    pub(super) fn finish(&mut self) {
        self.is_news |= self.next != self.told;
        self.told.clone_from(&self.next);
    }

    /// The proofs, if they have changed.
    pub(crate) fn take_news(&mut self) -> Option<Proofs> {
        std::mem::take(&mut self.is_news).then(|| self.told.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(transport: Transport) -> Flow {
        Flow {
            transport,
            local: "192.0.2.1:5061".parse().unwrap(),
            remote: "192.0.2.9:5061".parse().unwrap(),
        }
    }

    fn proof(name: &str) -> Proof {
        Proof {
            name: name.to_owned(),
            authorities: None,
            certificate: None,
        }
    }

    #[test]
    fn one_place_has_one_name_over_tls_and_news_are_told_once() {
        let (mut names, trunk) = (Names::default(), Account("t".into()));
        let tls = flow(Transport::Tls);
        names.begin();
        assert!(names.admit(tls, &proof("a.example"), &trunk));
        assert!(
            names.admit(tls, &proof("a.example"), &trunk),
            "two accounts there"
        );
        assert!(!names.admit(tls, &proof("b.example"), &trunk));
        assert!(names.admit(flow(Transport::Tcp), &proof("b.example"), &trunk));
        names.finish();
        let news = names.take_news().unwrap();
        let places = BTreeMap::from([(tls.remote, proof("a.example"))]);
        assert_eq!(news.places, places);
        names.begin();
        assert!(names.admit(tls, &proof("a.example"), &trunk));
        names.finish();
        assert_eq!(names.take_news(), None);
        names.begin();
        names.finish();
        assert_eq!(names.take_news(), Some(Proofs::default()));
    }
}

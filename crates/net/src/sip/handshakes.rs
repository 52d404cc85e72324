//! TLS handshakes, on a thread of their own: one takes as long as several calls, and strangers decide how many there are.

use std::io;

use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How far the thread stands back where the processor is short: what runs already, signalling and sound, goes first.
/// With 10 it gets a tenth of what they get, enough for a hundred handshakes a second.
const NICENESS: i32 = 10;

/// The thread. There are as many handshakes at once as connections may be open; they take turns.
#[derive(Clone, Debug)]
pub(super) struct Handshakes {
    handle: Handle,
}

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub(super) struct Thread {
    handshakes: Handshakes,
    _ends: oneshot::Sender<()>,
}

impl Thread {
    /// Starts it.
    pub(super) fn start() -> io::Result<Self> {
        // Neither clock nor sockets: the connections stay with the runtime that opened them.
        let runtime = Builder::new_current_thread().build()?;
        let handle = runtime.handle().clone();
        let (ends, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("sip-tls".to_owned())
            .spawn(move || {
                // On Linux this concerns the calling thread alone; where it is refused, all are equal.
                let _ = setpriority_process(None, NICENESS);
                let _: Result<(), _> = runtime.block_on(ended);
            })?;
        Ok(Self {
            handshakes: Handshakes { handle },
            _ends: ends,
        })
    }

    /// For the tasks of connections.
    pub(super) fn handshakes(&self) -> Handshakes {
        self.handshakes.clone()
    }
}

impl Handshakes {
    /// Does one there; dropped, it ends. `None` when the switch ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        handshake: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut alone = JoinSet::new();
        alone.spawn_on(handshake, &self.handle);
        alone.join_next().await?.ok()
    }
}

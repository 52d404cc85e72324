//! The switch's local socket: a line says what is wanted, the trace or the answer to a question.

use std::io;
use std::os::unix::net::UnixStream as Blocking;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use net::local_socket::LocalListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::debug;

use super::hub::Item;
use crate::control::Notice;

/// The line that asks for the trace.
pub(super) const TRACE: &str = "trace";
/// What comes before the name of a call or an agent.
pub(super) const WHY: &str = "why ";
/// What comes before an order, its call and what it is about, with tabs between them.
pub(super) const DO: &str = "do ";
/// The first line of an answer: something bears the name, or nothing does.
pub(super) const KNOWN: &str = "known";
pub(super) const UNKNOWN: &str = "unknown";

/// Octets of the longest line.
const MAX_LINE: usize = 256;
/// A client that has not said what it wants by then, or does not take its answer, is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients that are talked with at once; a further one waits.
const MAX_CLIENTS: usize = 8;

/// Lets clients in, for as long as the switch runs.
pub(super) async fn admit(
    listener: LocalListener,
    hub: SyncSender<Item>,
    notices: mpsc::Sender<Notice>,
) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let client = listener.accept().await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (hub, notices) = (hub.clone(), notices.clone());
        tokio::spawn(async move {
            let talked = tokio::time::timeout(PATIENCE, talk(client, &hub, &notices)).await;
            if !matches!(talked, Ok(Ok(()))) {
                debug!("a client of the local socket was given up");
            }
            drop(place);
        });
    }
}

async fn talk(
    client: Blocking,
    hub: &SyncSender<Item>,
    notices: &mpsc::Sender<Notice>,
) -> io::Result<()> {
    client.set_nonblocking(true)?;
    let mut client = UnixStream::from_std(client)?;
    let line = line_of(&mut client).await?;
    if line == TRACE {
        let client = client.into_std()?;
        client.set_nonblocking(false)?;
        return hub
            .try_send(Item::Reader(client))
            .map_err(|_| io::Error::other("the trace is behind"));
    }
    let answer = if let Some(name) = line.strip_prefix(WHY) {
        let name = name.to_owned();
        let answer = ask(notices, |reply| Notice::Asked { name, reply }).await?;
        match answer {
            Some(text) => format!("{KNOWN}\n{text}"),
            None => format!("{UNKNOWN}\n"),
        }
    } else if let Some(order) = line.strip_prefix(DO).and_then(super::orders::read) {
        let (name, order) = order;
        let answer = ask(notices, |reply| Notice::Ordered { name, order, reply }).await?;
        match answer {
            Ok(call) => format!("{KNOWN}\n{call}"),
            Err(unheeded) => format!("{UNKNOWN}\n{unheeded}"),
        }
    } else {
        "this socket knows: trace, why NAME, do ORDER\n".to_owned()
    };
    client.write_all(answer.as_bytes()).await
}

/// The control loop's answer.
async fn ask<T>(
    notices: &mpsc::Sender<Notice>,
    notice: impl FnOnce(oneshot::Sender<T>) -> Notice,
) -> io::Result<T> {
    let (reply, answer) = oneshot::channel();
    let asked = notices.send(notice(reply)).await;
    asked.map_err(|_| io::Error::other("the switch ends"))?;
    answer.await.map_err(io::Error::other)
}

/// The first line, without its end.
async fn line_of(client: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match client.read_u8().await? {
            b'\n' => break,
            _ if line.len() >= MAX_LINE => return Err(io::ErrorKind::InvalidData.into()),
            octet => line.push(octet),
        }
    }
    String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
}

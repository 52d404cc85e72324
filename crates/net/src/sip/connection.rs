//! One TCP connection: a task that opens, reads, writes and ends by itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ::sip::message::Fault;
use ::sip::{Flow, Frame, Framer};
use bytes::Bytes;
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::Arrival;
use super::connections::{ConnectionId, Ticket};
use super::limits::{PROBE_AFTER, READ_AHEAD, Tally, TcpLimits, UNACKNOWLEDGED, WRITE_QUEUE};

/// Octets read at once: more than any usual message.
const READ_BUFFER: usize = 8 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed it")]
    Peer,
    #[error("it is not needed any more")]
    Ours,
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("nothing came for too long")]
    Idle,
    #[error("a message did not come whole in time")]
    SlowMessage,
    #[error("the peer did not read in time")]
    SlowReader,
    #[error("it did not open in time")]
    SlowConnect,
    #[error("what came cannot be told into messages")]
    Garbage {
        /// What the peer is told.
        answer: Option<Bytes>,
    },
}

/// A connection and what its task needs.
pub(super) struct Connection {
    id: ConnectionId,
    flow: Flow,
    queue: mpsc::Receiver<Bytes>,
    reader: Reader,
}

/// The part of a connection that reads.
struct Reader {
    flow: Flow,
    inbox: mpsc::Sender<Arrival>,
    pong: mpsc::WeakSender<Bytes>,
    limits: TcpLimits,
    tally: Arc<Tally>,
}

impl Connection {
    /// The task of a ticket.
    pub(super) fn new(
        ticket: Ticket,
        inbox: mpsc::Sender<Arrival>,
        limits: TcpLimits,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            id: ticket.id,
            flow: ticket.flow,
            queue: ticket.queue,
            reader: Reader {
                flow: ticket.flow,
                inbox,
                pong: ticket.pong,
                limits,
                tally,
            },
        }
    }

    /// Serves a connection that the peer opened.
    pub(super) async fn serve(self, stream: TcpStream) {
        let first_message = Some(Instant::now() + self.reader.limits.message);
        self.run(Ok(stream), first_message).await;
    }

    /// Opens a connection and serves it.
    pub(super) async fn connect(self) {
        let connecting = connect(self.flow.local, self.flow.remote);
        let stream = match timeout(self.reader.limits.connect, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(End::Socket(error)),
            Err(_) => Err(End::SlowConnect),
        };
        self.run(stream, None).await;
    }

    async fn run(mut self, stream: Result<TcpStream, End>, first_message: Option<Instant>) {
        let end = match stream {
            Ok(stream) => self.talk(stream, first_message).await,
            Err(end) => end,
        };
        debug!(local = %self.flow.local, remote = %self.flow.remote, %end, "connection ended");
        let Self { flow, id, .. } = self;
        // An error means that the switch ends.
        let _ = self.reader.inbox.send(Arrival::Ended { flow, id }).await;
    }

    /// Reads and writes at once: a peer that only writes, or only reads, is served as far as it lets us.
    async fn talk(&mut self, mut stream: TcpStream, first_message: Option<Instant>) -> End {
        if let Err(error) = prepare(&stream) {
            return End::Socket(error);
        }
        let limits = self.reader.limits;
        let written = Notify::new();
        let (read_half, mut write_half) = stream.split();
        let end = tokio::select! {
            end = self.reader.read(&read_half, first_message, &written) => end,
            end = write(&mut write_half, &mut self.queue, &limits, &written) => end,
        };
        if matches!(end, End::Peer | End::Garbage { .. }) {
            // What came before is still to be answered.
            let answers = write(&mut write_half, &mut self.queue, &limits, &written);
            let _ = timeout(limits.linger, answers).await;
        }
        if let End::Garbage { answer } = &end {
            let answer = answer.as_deref().unwrap_or_default();
            let _ = timeout(limits.linger, part(&mut stream, answer)).await;
        }
        end
    }
}

impl Reader {
    /// Reads until the connection must end. `first_message`: when the first message must be there.
    async fn read(
        &self,
        stream: &ReadHalf<'_>,
        mut first_message: Option<Instant>,
        written: &Notify,
    ) -> End {
        let mut framer = Framer::default();
        let mut deadline = first_message.unwrap_or_else(|| Instant::now() + self.limits.idle);
        loop {
            match timeout_at(deadline, stream.readable()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return End::Socket(error),
                Err(_) if first_message.is_none() && !framer.is_incomplete() => return End::Idle,
                Err(_) => return End::SlowMessage,
            }
            let was_incomplete = framer.is_incomplete();
            match read_some(stream, &mut framer) {
                Ok(0) => return End::Peer,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return End::Socket(error),
            }
            let mut messages = 0;
            while let Some(frame) = framer.poll() {
                self.answers_are_taken(written).await;
                match self.take(frame).await {
                    Ok(is_message) => messages += u32::from(is_message),
                    Err(end) => return end,
                }
            }
            if messages > 0 {
                first_message = None;
            }
            // Octet by octet a message does not get more time, nor do keep-alives stand for a first message.
            let same_message = was_incomplete && messages == 0;
            if first_message.is_none() && !same_message {
                let limit = if framer.is_incomplete() {
                    self.limits.message
                } else {
                    self.limits.idle
                };
                deadline = Instant::now() + limit;
            }
        }
    }

    /// Waits while the peer does not read its answers; how long it may do so is for the writing side to say.
    async fn answers_are_taken(&self, written: &Notify) {
        let is_behind = |writer: mpsc::Sender<Bytes>| WRITE_QUEUE - writer.capacity() > READ_AHEAD;
        while self.pong.upgrade().is_some_and(is_behind) {
            written.notified().await;
        }
    }

    /// Whether the frame was a message, or the end of the connection. Waits while the control loop is behind.
    async fn take(&self, frame: Frame) -> Result<bool, End> {
        match frame {
            Frame::Message(message) => {
                self.tally.messages.add();
                let flow = self.flow;
                let arrival = Arrival::Message { message, flow };
                if self.inbox.send(arrival).await.is_err() {
                    // The switch ends: nobody reads any more, but what is queued is still written.
                    return std::future::pending().await;
                }
                Ok(true)
            }
            Frame::Ping => {
                self.tally.keep_alives.add();
                // RFC 5626 section 3.5.1: one line end answers two.
                self.reply(Bytes::from_static(b"\r\n"));
                Ok(false)
            }
            Frame::Refused(fault) => {
                if let Some(answer) = self.answer(&fault) {
                    self.reply(answer);
                }
                Ok(true)
            }
            Frame::Lost(fault) => Err(End::Garbage {
                answer: self.answer(&fault),
            }),
        }
    }

    /// The answer to a faulty request, made without keeping state.
    fn answer(&self, fault: &Fault) -> Option<Bytes> {
        debug!(%fault, remote = %self.flow.remote, "faulty message");
        let answer = fault.answer(self.flow.remote);
        if answer.is_some() {
            self.tally.faults_answered.add();
        } else {
            self.tally.faults_dropped.add();
        }
        answer
    }

    /// Writes something that the control loop need not know of. A peer that does not read goes without it.
    fn reply(&self, octets: Bytes) {
        let sent = self
            .pong
            .upgrade()
            .is_some_and(|writer| writer.try_send(octets).is_ok());
        if !sent {
            self.tally.unsent.add();
        }
    }
}

/// The buffer lives only here: 16,384 idle connections hold none.
fn read_some(stream: &ReadHalf<'_>, framer: &mut Framer) -> io::Result<usize> {
    let mut buffer = [0; READ_BUFFER];
    let length = stream.try_read(&mut buffer)?;
    framer.push(&buffer[..length]);
    Ok(length)
}

async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Any port, for the listening one is taken; but the address that the peer knows.
    let mut from = local;
    from.set_port(0);
    socket.bind(from)?;
    socket.connect(remote).await
}

/// Small messages go out at once, and a peer that is gone is noticed even while nobody has anything to say.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    let unacknowledged = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, unacknowledged)?;
    Ok(())
}

async fn write(
    stream: &mut WriteHalf<'_>,
    queue: &mut mpsc::Receiver<Bytes>,
    limits: &TcpLimits,
    written: &Notify,
) -> End {
    while let Some(octets) = queue.recv().await {
        match timeout(limits.write, stream.write_all(&octets)).await {
            Ok(Ok(())) => written.notify_one(),
            Ok(Err(error)) => return End::Socket(error),
            Err(_) => return End::SlowReader,
        }
    }
    End::Ours
}

/// Says the last word and reads on until the peer has closed: unread octets would make the kernel
/// reset the connection, and the answer would be lost.
async fn part(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    while stream.read(&mut [0; READ_BUFFER]).await? > 0 {}
    Ok(())
}

//! One connection: a task that opens, reads, writes and ends by itself.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use ::sip::message::Fault;
use ::sip::overload::{self, Rank};
use ::sip::{Flow, Frame, Framer, Message};
use bytes::Bytes;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, split};
use tokio::join;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::debug;

use super::Arrival;
use super::connections::{ConnectionId, Ticket};
use super::entrance::{Entrance, Verdict};
use super::handshakes::Handshakes;
use super::limits::{ConnectionLimits, PROBE_AFTER, READ_AHEAD, UNACKNOWLEDGED, WRITE_QUEUE};
use super::tls::Peer;
use super::websocket;

/// Octets read at once: more than any usual message.
const READ_BUFFER: usize = 8 * 1024;

/// What a connection speaks below SIP.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    /// TLS, with our certificate, and where its handshake is done.
    pub(super) tls: Option<(Arc<ServerConfig>, Handshakes)>,
    /// WebSocket, with the pages that may connect; none: all.
    pub(super) web_socket: Option<Arc<[String]>>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
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
    #[error("TLS or WebSocket: {0}")]
    Handshake(String),
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
pub(super) struct Reader {
    flow: Flow,
    entrance: Entrance,
    pong: mpsc::WeakSender<Bytes>,
    pub(super) limits: ConnectionLimits,
}

impl Connection {
    /// The task of a ticket.
    pub(super) fn new(ticket: Ticket, entrance: Entrance, limits: ConnectionLimits) -> Self {
        Self {
            id: ticket.id,
            flow: ticket.flow,
            queue: ticket.queue,
            reader: Reader {
                flow: ticket.flow,
                entrance,
                pong: ticket.pong,
                limits,
            },
        }
    }

    /// Serves a connection that the peer opened.
    pub(super) async fn serve(mut self, stream: TcpStream, layers: Layers) {
        // One limit for all handshakes and the first message: each would be a way to hold a connection for nothing.
        let first_message = Instant::now() + self.reader.limits.message;
        let end = match prepare(&stream) {
            Ok(()) => self.open(stream, layers, first_message).await,
            Err(error) => End::Socket(error),
        };
        self.tell(end).await;
    }

    /// Opens a connection over TCP, or over TLS with a peer that must prove who it is, and serves it.
    pub(super) async fn connect(mut self, tls: Option<(Peer, Handshakes)>) {
        let limit = Instant::now() + self.reader.limits.connect;
        let connecting = connect(self.flow.local, self.flow.remote);
        let end = match timeout_at(limit, connecting).await {
            Ok(Ok(stream)) => self.opened(stream, tls, limit).await,
            Ok(Err(error)) => End::Socket(error),
            Err(_) => End::SlowConnect,
        };
        self.tell(end).await;
    }

    /// The handshake of a connection of ours, if there is to be one, and then SIP.
    async fn opened(
        &mut self,
        mut stream: TcpStream,
        tls: Option<(Peer, Handshakes)>,
        limit: Instant,
    ) -> End {
        let Some((peer, handshakes)) = tls else {
            let (read_half, write_half) = stream.split();
            return self.talk(read_half, write_half, None).await;
        };
        let (config, name) = match peer.into_parts() {
            Ok(parts) => parts,
            Err(error) => return End::Handshake(error.to_string()),
        };
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        match timeout_at(limit, handshakes.run(handshake)).await {
            Ok(Some(Ok(stream))) => {
                let (read_half, write_half) = split(Box::new(stream));
                Box::pin(self.talk(read_half, write_half, None)).await
            }
            Ok(Some(Err(error))) => End::Handshake(error.to_string()),
            Ok(None) => End::Ours,
            Err(_) => End::SlowConnect,
        }
    }

    async fn tell(self, end: End) {
        debug!(local = %self.flow.local, remote = %self.flow.remote, %end, "connection ended");
        let Self { flow, id, .. } = self;
        let why = end.to_string();
        // An error means that the switch ends.
        let _ = self
            .reader
            .entrance
            .inbox
            .send(Arrival::Ended { flow, id, why })
            .await;
    }

    /// The handshakes of the layers, and then SIP. What TLS and WebSockets need is boxed: thousands of plain connections
    /// must not carry room for it.
    async fn open(&mut self, mut stream: TcpStream, layers: Layers, first_message: Instant) -> End {
        let Layers { tls, web_socket } = layers;
        let Some((config, handshakes)) = tls else {
            let Some(origins) = web_socket else {
                let (read_half, write_half) = stream.split();
                return self.talk(read_half, write_half, Some(first_message)).await;
            };
            let talk = websocket::talk(
                &self.reader,
                &mut self.queue,
                stream,
                &origins,
                first_message,
            );
            return Box::pin(talk).await;
        };
        let handshake = handshakes.run(TlsAcceptor::from(config).accept(stream));
        let stream = match timeout_at(first_message, Box::pin(handshake)).await {
            Ok(Some(Ok(stream))) => Box::new(stream),
            Ok(Some(Err(error))) => return End::Handshake(error.to_string()),
            Ok(None) => return End::Ours,
            Err(_) => return End::SlowMessage,
        };
        match web_socket {
            None => {
                let (read_half, write_half) = split(stream);
                Box::pin(self.talk(read_half, write_half, Some(first_message))).await
            }
            Some(origins) => {
                let talk = websocket::talk(
                    &self.reader,
                    &mut self.queue,
                    stream,
                    &origins,
                    first_message,
                );
                Box::pin(talk).await
            }
        }
    }

    /// Reads and writes at once: a peer that only writes, or only reads, is served as far as it lets us.
    async fn talk<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        mut read_half: R,
        mut write_half: W,
        first_message: Option<Instant>,
    ) -> End {
        let limits = self.reader.limits;
        let written = Notify::new();
        let end = tokio::select! {
            end = self.reader.read(&mut read_half, first_message, &written) => end,
            end = write(&mut write_half, &mut self.queue, &limits, &written) => end,
        };
        if matches!(end, End::Peer | End::Garbage { .. }) {
            // What came before is still to be answered, and nothing more to be asked.
            let (flow, id) = (self.flow, self.id);
            let news = Arrival::HalfClosed { flow, id };
            let telling = self.reader.entrance.inbox.send(news);
            let answers = write(&mut write_half, &mut self.queue, &limits, &written);
            let _ = timeout(limits.linger, async { join!(telling, answers) }).await;
        }
        match &end {
            End::Garbage { answer } => {
                let answer = answer.as_deref().unwrap_or_default();
                let _ = timeout(limits.linger, part(&mut read_half, &mut write_half, answer)).await;
            }
            // TLS says that nothing was cut off (RFC 8446 section 6.1).
            End::Peer | End::Ours | End::Idle | End::SlowMessage => {
                let _ = timeout(limits.linger, write_half.shutdown()).await;
            }
            End::Socket(_) | End::SlowReader | End::SlowConnect | End::Handshake(_) => {}
        }
        end
    }
}

impl Reader {
    /// Reads until the connection must end. `first_message`: when the first message must be there.
    async fn read<R: AsyncRead + Unpin>(
        &self,
        stream: &mut R,
        mut first_message: Option<Instant>,
        written: &Notify,
    ) -> End {
        let mut framer = Framer::default();
        let mut deadline = first_message.unwrap_or_else(|| Instant::now() + self.limits.idle);
        loop {
            let was_incomplete = framer.is_incomplete();
            match timeout_at(deadline, read_some(stream, &mut framer)).await {
                Ok(Ok(0)) => return End::Peer,
                Ok(Ok(_)) => {}
                // Many peers end TLS without saying so; what came is whole or not by its own length.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return End::Peer,
                Ok(Err(error)) => return End::Socket(error),
                Err(_) if first_message.is_none() && !was_incomplete => return End::Idle,
                Err(_) => return End::SlowMessage,
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
    pub(super) async fn take(&self, frame: Frame) -> Result<bool, End> {
        match frame {
            Frame::Message(message) => {
                self.enter(message).await;
                Ok(true)
            }
            Frame::Ping => {
                self.entrance.tally.keep_alives.add();
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

    /// A call that would wait for too long is refused. A registration waits, and all that comes behind it on this connection, as no
    /// phone repeats one over a transport that loses nothing.
    async fn enter(&self, message: Message) {
        let flow = self.flow;
        let class = match self.entrance.judge(message.octets()) {
            Verdict::Forgotten => return,
            Verdict::TurnedAway(rank) if rank < Rank::FirstRegistration => {
                self.entrance.turned_away();
                if let Some(answer) = overload::refusal(&message, flow.remote) {
                    self.reply(answer);
                }
                return;
            }
            Verdict::TurnedAway(rank) => rank.class(),
            Verdict::Enters(class) => class,
        };
        self.entrance.tally.messages.add();
        self.entrance.tally.enters(class, &message);
        let arrival = Arrival::Message {
            message,
            flow,
            class,
        };
        if self.entrance.inbox.send(arrival).await.is_err() {
            // The switch ends: nobody reads any more, but what is queued is still written.
            std::future::pending().await
        }
    }

    /// The answer to a faulty request, made without keeping state.
    fn answer(&self, fault: &Fault) -> Option<Bytes> {
        debug!(%fault, remote = %self.flow.remote, "faulty message");
        let answer = fault.answers(self.flow.remote).next();
        if answer.is_some() {
            self.entrance.tally.faults_answered.add();
        } else {
            self.entrance.tally.faults_dropped.add();
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
            self.entrance.tally.unsent.add();
        }
    }
}

/// Waits for octets. The buffer lives only while there are some: 16,384 idle connections hold none.
async fn read_some<R: AsyncRead + Unpin>(stream: &mut R, framer: &mut Framer) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut octets = [MaybeUninit::uninit(); READ_BUFFER];
        let mut buffer = ReadBuf::uninit(&mut octets);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        framer.push(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
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
    let stream = socket.connect(remote).await?;
    prepare(&stream)?;
    Ok(stream)
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

async fn write<W: AsyncWrite + Unpin>(
    stream: &mut W,
    queue: &mut mpsc::Receiver<Bytes>,
    limits: &ConnectionLimits,
    written: &Notify,
) -> End {
    while let Some(octets) = queue.recv().await {
        let writing = async {
            stream.write_all(&octets).await?;
            stream.flush().await
        };
        match timeout(limits.write, writing).await {
            Ok(Ok(())) => written.notify_one(),
            Ok(Err(error)) => return End::Socket(error),
            Err(_) => return End::SlowReader,
        }
    }
    End::Ours
}

/// Says the last word and reads on until the peer has closed: unread octets would make the kernel
/// reset the connection, and the answer would be lost.
async fn part<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    read_half: &mut R,
    write_half: &mut W,
    answer: &[u8],
) -> io::Result<()> {
    write_half.write_all(answer).await?;
    write_half.shutdown().await?;
    while read_half.read(&mut [0; READ_BUFFER]).await? > 0 {}
    Ok(())
}

//! SIP over WebSockets (RFC 7118): one message a WebSocket message, whose end needs no Content-Length.

use std::sync::Arc;

use ::sip::message::MAX_MESSAGE;
use ::sip::{Frame, Message as SipMessage};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, WebSocketConfig, frame::coding::CloseCode,
};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::connection::{End, Reader};

/// Octets of the read buffer, which each open WebSocket keeps: most messages fit.
const READ_BUFFER: usize = 4 * 1024;

/// Octets that wait to be written when the peer does not read: one message, and room for the pongs after it.
const WRITE_BUFFER: usize = 2 * MAX_MESSAGE;

/// The subprotocol (RFC 7118 section 4.1).
const SUBPROTOCOL: &str = "sip";

/// Serves a WebSocket until it ends; `first_message`: when the handshake must be over and the first message there.
pub(super) async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    reader: &Reader,
    queue: &mut mpsc::Receiver<Bytes>,
    stream: S,
    origins: &Arc<[String]>,
    first_message: Instant,
) -> End {
    #[expect(
        clippy::result_large_err,
        reason = "the signature is the library's; it happens once a connection"
    )]
    let check = |request: &Request, response| accept(request, response, origins);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        // What is written is sent at once.
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let handshake = accept_hdr_async_with_config(stream, check, Some(config));
    let mut socket = match timeout_at(first_message, handshake).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return End::Handshake(error.to_string()),
        Err(_) => return End::SlowMessage,
    };
    let limits = reader.limits;
    let end = serve(reader, queue, &mut socket, first_message).await;
    if let Some(code) = close_code(&end) {
        let reason = Utf8Bytes::default();
        let _ = timeout(
            limits.linger,
            socket.close(Some(CloseFrame { code, reason })),
        )
        .await;
    }
    end
}

/// What the peer is told when we close (RFC 6455 section 7.4.1); none where nobody listens any more.
fn close_code(end: &End) -> Option<CloseCode> {
    match end {
        End::Ours => Some(CloseCode::Away),
        End::SlowMessage | End::Garbage { .. } => Some(CloseCode::Policy),
        End::Peer
        | End::Socket(_)
        | End::Idle
        | End::SlowReader
        | End::SlowConnect
        | End::Handshake(_) => None,
    }
}

/// The handshake: the subprotocol must be `sip` (RFC 7118 section 4.2), the page must be one of ours, if we name any.
#[expect(
    clippy::result_large_err,
    reason = "the signature is the library's; it happens once a connection"
)]
fn accept(
    request: &Request,
    mut response: Response,
    origins: &[String],
) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let offers_sip = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(SUBPROTOCOL));
    if !offers_sip {
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            "the subprotocol must be sip",
        ));
    }
    // RFC 6455 section 10.2: a page of somebody else must not use the browser of one of our agents.
    let origin = request.headers().get(ORIGIN);
    if let Some(origin) = origin
        && !origins.is_empty()
        && !origins
            .iter()
            .any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
    {
        return Err(refusal(StatusCode::FORBIDDEN, "this origin is not allowed"));
    }
    response.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    Ok(response)
}

fn refusal(status: StatusCode, why: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(format!("{why}\n")));
    *response.status_mut() = status;
    response
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    reader: &Reader,
    queue: &mut mpsc::Receiver<Bytes>,
    socket: &mut WebSocketStream<S>,
    first_message: Instant,
) -> End {
    let limits = reader.limits;
    let mut proven = false;
    // Whether a ping of ours waits for its pong, or for anything else.
    let mut asked = false;
    let mut deadline = first_message;
    loop {
        let written = tokio::select! {
            next = timeout_at(deadline, socket.next()) => match next {
                Ok(Some(Ok(message))) => {
                    match take(reader, message).await {
                        Ok(is_message) => proven |= is_message,
                        Err(end) => return end,
                    }
                    if proven {
                        asked = false;
                        deadline = Instant::now() + limits.ping;
                    }
                    continue;
                }
                Ok(Some(Err(error))) => return ended(error),
                Ok(None) => return End::Peer,
                Err(_) if !proven => return End::SlowMessage,
                Err(_) if asked => return End::Idle,
                Err(_) => {
                    asked = true;
                    deadline = Instant::now() + limits.ping;
                    timeout(limits.write, socket.send(Message::Ping(Bytes::new()))).await
                }
            },
            octets = queue.recv() => match octets {
                Some(octets) => timeout(limits.write, socket.send(wrapped(octets))).await,
                None => return End::Ours,
            },
        };
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return ended(error),
            Err(_) => return End::SlowReader,
        }
    }
}

/// Whether this was a SIP message, or the end of the connection.
async fn take(reader: &Reader, message: Message) -> Result<bool, End> {
    let octets = match message {
        Message::Text(text) => Bytes::from(text),
        Message::Binary(octets) => octets,
        // The library answers a ping with a pong, and a close with a close, when it is polled next.
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
            return Ok(false);
        }
    };
    // Line ends alone: what browsers' libraries send to keep a way open (RFC 7118 section 6, RFC 5626 section 3.5.1).
    if octets.iter().all(|octet| b"\r\n".contains(octet)) {
        if octets.len() >= 4 {
            return reader.take(Frame::Ping).await;
        }
        return Ok(false);
    }
    let frame = match SipMessage::parse(octets) {
        Ok(message) => Frame::Message(message),
        Err(fault) => Frame::Refused(fault),
    };
    reader.take(frame).await
}

/// A text message, as all of SIP is UTF-8; bodies may be anything (RFC 7118 section 4.2 allows both kinds).
fn wrapped(octets: Bytes) -> Message {
    match Utf8Bytes::try_from(octets.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(octets),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enum; all else is the peer's fault and told as the library tells it"
)]
fn ended(error: Error) -> End {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => End::Peer,
        Error::Io(error) => End::Socket(error),
        error => End::Handshake(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::http::HeaderName;

    use super::*;

    /// The status of a refusal, or the subprotocol.
    fn judge(origins: &[&str], headers: &[(&str, &str)]) -> String {
        let mut request = Request::new(());
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
        match accept(&request, Response::new(()), &origins) {
            Ok(response) => response.headers()[SEC_WEBSOCKET_PROTOCOL]
                .to_str()
                .unwrap()
                .to_owned(),
            Err(response) => response.status().as_u16().to_string(),
        }
    }

    #[test]
    fn the_subprotocol_is_sip_or_there_is_no_connection() {
        for offers in [&["sip"][..], &["chat, SIP"], &["chat", "sip"]] {
            let headers: Vec<_> = offers
                .iter()
                .map(|offer| ("sec-websocket-protocol", *offer))
                .collect();
            assert_eq!(judge(&[], &headers), "sip");
        }
        assert_eq!(judge(&[], &[]), "400");
        assert_eq!(judge(&[], &[("sec-websocket-protocol", "sips")]), "400");
    }

    #[test]
    fn a_page_of_somebody_else_is_refused_where_pages_are_named() {
        let ours = "https://pbx.example";
        let from = |origin| [("sec-websocket-protocol", "sip"), ("origin", origin)];
        assert_eq!(judge(&[ours], &from(ours)), "sip");
        assert_eq!(judge(&[ours], &from("https://evil.example")), "403");
        assert_eq!(judge(&[], &from("https://any.example")), "sip");
        // No browser: nothing that somebody else's page could steer.
        assert_eq!(judge(&[ours], &[("sec-websocket-protocol", "sip")]), "sip");
    }
}

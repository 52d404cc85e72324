// A phone in a browser: JsSIP, driven by harness/browser.py, which calls the functions below and reads `happened`.
"use strict";

/** What happened, in order: the names of JsSIP's events, each with what it tells. */
const happened = [];

/** The user agent, and the call that it has. */
let ua, call;

function tell(what, details = {}) {
  happened.push({ what, ...details });
}

/** Begins to register. `plain`: calls offer RTP without encryption, and nobody speaks; else they are the browser's own, with SRTP. */
function start({ number, password, server, plain }) {
  if (plain) {
    window.RTCPeerConnection = PlainConnection;
  }
  ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(server)],
    uri: `sip:${number}@127.0.0.1`,
    password,
    connection_recovery_min_interval: 1,
    connection_recovery_max_interval: 1,
    session_timers: false,
  });
  ua.on("connected", () => tell("connected"));
  ua.on("disconnected", ({ error, code }) => tell("disconnected", { error, code }));
  ua.on("registered", ({ response }) => tell("registered", { status: response.status_code }));
  ua.on("unregistered", ({ response }) => tell("unregistered", { status: response?.status_code }));
  ua.on("registrationFailed", ({ response, cause }) => tell("registrationFailed", { status: response?.status_code, cause }));
  ua.on("newMessage", ({ originator, request }) => tell("newMessage", { originator, from: request.from.uri.user, body: request.body }));
  ua.on("newRTCSession", ({ session, originator, request }) => follow(session, originator, request));
  ua.start();
}

/** Keeps the call, and tells what becomes of it. */
function follow(session, originator, request) {
  call = session;
  tell("newRTCSession", { originator, from: request.from.uri.user });
  call.on("sdp", ({ originator, type, sdp }) => tell("sdp", { originator, type, sdp }));
  for (const event of ["progress", "accepted", "confirmed", "ended", "failed"]) {
    call.on(event, ({ originator, cause, message, response }) => {
      const answer = response ?? message;
      tell(event, { originator, cause, status: answer?.status_code, warning: answer?.getHeader?.("Warning") });
    });
  }
  call.on("peerconnection:setremotedescriptionfailed", (error) => tell("setRemoteDescriptionFailed", { error: String(error) }));
}

/** Calls a number; with the browser's own connection, it speaks. */
function dial(number) {
  ua.call(`sip:${number}@127.0.0.1`, { mediaConstraints: { audio: window.RTCPeerConnection !== PlainConnection, video: false } });
}

/** Answers the call that rings. */
function answer() {
  call.answer({ mediaConstraints: { audio: window.RTCPeerConnection !== PlainConnection, video: false } });
}

/** Holds the call or takes it back, and tells when the other side has agreed. */
function hold() {
  call.hold({}, () => tell("held"));
}

function resume() {
  call.unhold({}, () => tell("resumed"));
}

/** Transfers the call to a number. */
function transfer(number) {
  const outcome = (name) => ({ status_line: line }) => tell(name, { status: Number(line.status_code) });
  call.refer(`sip:${number}@127.0.0.1`, { eventHandlers: { accepted: outcome("referAccepted"), failed: outcome("referFailed") } });
}

/** Tells how a request ended that is no call. */
function outcome(method) {
  const told = (what) => ({ response, cause }) => tell(what, { status: response?.status_code, cause, allow: response?.getHeader("Allow") });
  return { eventHandlers: { succeeded: told(`${method}Succeeded`), failed: told(`${method}Failed`) } };
}

function write(number, text) {
  ua.sendMessage(`sip:${number}@127.0.0.1`, text, outcome("message"));
}

function ask() {
  ua.sendOptions("sip:127.0.0.1", "", outcome("options"));
}

/** Stands in for RTCPeerConnection where signalling alone is tried: it offers and answers one stream of PCMU, and sends nothing. */
class PlainConnection extends EventTarget {
  iceConnectionState = "new";
  iceGatheringState = "complete";
  signalingState = "stable";
  #version = 0;

  #describe(type) {
    this.#version += 1;
    const sdp = [
      "v=0", `o=- 1 ${this.#version} IN IP4 127.0.0.1`, "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
      "m=audio 40002 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv", "",
    ].join("\r\n");
    return Promise.resolve({ type, sdp });
  }

  createOffer() { return this.#describe("offer"); }
  createAnswer() { return this.#describe("answer"); }

  setLocalDescription(description) {
    this.localDescription = description;
    return Promise.resolve();
  }

  setRemoteDescription(description) {
    this.remoteDescription = description;
    return Promise.resolve();
  }

  addTrack() {}
  getSenders() { return []; }
  getReceivers() { return []; }
  close() { this.signalingState = "closed"; }
}

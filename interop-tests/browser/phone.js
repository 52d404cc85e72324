// A phone in a browser: JsSIP, driven by harness/browser.py, which calls the functions below and reads `happened`.
"use strict";

/** What happened, in order: the names of JsSIP's events, each with what it tells. */
const happened = [];

/** The user agent, and the call that it has. */
let ua, call;

function tell(what, details = {}) {
  happened.push({ what, ...details });
}

/** What is asked of the microphone: its sound as it is. */
const SOUND = { mediaConstraints: { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false } };

/** Looks at what the call lets us hear. */
let ear;

/** Begins to register. */
function start({ number, password, server }) {
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

/** Calls a number. */
function dial(number) {
  ua.call(`sip:${number}@127.0.0.1`, SOUND);
}

/** Answers the call that rings. */
function answer() {
  call.answer(SOUND);
}

/** Begins to listen to the call. */
function listen() {
  const stream = new MediaStream([call.connection.getReceivers()[0].track]);
  // Without a player Chromium does not decode.
  const player = new Audio();
  player.muted = true;
  player.srcObject = stream;
  player.play();
  const context = new AudioContext();
  ear = context.createAnalyser();
  ear.fftSize = 32768;
  context.createMediaStreamSource(stream).connect(ear);
}

/** The level of a tone in the last two thirds of a second, in decibels of full scale (Goertzel). */
function level(hertz) {
  const samples = new Float32Array(ear.fftSize);
  ear.getFloatTimeDomainData(samples);
  const coefficient = 2 * Math.cos(2 * Math.PI * hertz / ear.context.sampleRate);
  let [last, before] = [0, 0];
  for (const sample of samples) {
    [last, before] = [sample + coefficient * last - before, last];
  }
  const power = last * last + before * before - coefficient * last * before;
  return 20 * Math.log10(Math.max(2 * Math.sqrt(Math.max(power, 0)) / samples.length, 1e-6));
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

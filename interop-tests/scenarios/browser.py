"""A phone in a browser: JsSIP over WSS in Chromium. Its calls here are signalling to the end; the sound of browsers (DTLS-SRTP) is
refused as exactly as any offer that we cannot take."""

from harness.browser import PAGE_PORT, BrowserPhone, Chromium, Pages, trusting
from harness.cable import Cable
from harness.phone import Call, Message, Phone
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import WSS_PORT, Switch

#: Where a browser is plugged in that loses its connection.
CABLE_PORT = 25066
#: What JsSIP offers of its own: encrypted by DTLS.
UNTAKEN = '302 ringmaster "only RTP/AVP and RTP/SAVP are taken"'


@scenario("JsSIP")
def a_browser_calls_and_is_called(stage: Stage):
    with Switch(stage) as switch, Pages() as page, trusting(switch) as browser:
        phone = Phone(202).registered()
        web = BrowserPhone(browser, 205, page)
        web.hears("registered")
        # The phone hangs up, then the browser does.
        for ends in ("remote", "local"):
            web.do("dial('202')")
            call = phone.answer(seconds=10)
            web.hears("progress", originator="remote", status=180)
            web.hears("accepted", originator="remote", status=200)
            web.hears("confirmed")
            if ends == "remote":
                call.bye()
            else:
                web.do("call.terminate()")
                call.is_ended(10)
            web.hears("ended", originator=ends)
        # It is called, holds and goes on.
        invite = phone.invite("205", cseq=10)
        web.hears("newRTCSession", originator="remote", **{"from": "202"})
        web.do("answer()")
        called = Call(phone, invite, phone.final("INVITE", 10, 10))
        called.ack()
        web.hears("confirmed")
        for action, done in (("hold()", "held"), ("resume()", "resumed")):
            web.do(action)
            web.hears(done)
        called.bye()
        web.hears("ended", originator="remote")
        check([record["cause"] for record in switch.wait_for_records(3)] == ["hang-up"] * 3, f"the records are {switch.call_records()}")


@scenario("JsSIP")
def a_browser_refuses_gives_up_and_is_given_up(stage: Stage):
    with Switch(stage) as switch, Pages() as page, trusting(switch) as browser:
        phone = Phone(202).registered()
        web = BrowserPhone(browser, 205, page)
        web.hears("registered")
        busy = called(phone, web, 486)
        check(busy.status == 486, f"the caller of a busy browser got {busy.start}")
        web.do("dial('202')")
        ringing = phone.expect("INVITE", 10)
        phone.respond(ringing, 180)
        web.hears("progress", originator="remote")
        web.do("call.terminate()")
        phone.respond(phone.expect("CANCEL", 10), 200)
        phone.respond(ringing, 487)
        invite = phone.invite("205", cseq=20)
        web.hears("newRTCSession", originator="remote")
        same = [(name, value) for name, value in invite.headers if name in ("Via", "Max-Forwards", "From", "To", "Call-ID")]
        phone.send(Message(invite.start.replace("INVITE", "CANCEL"), [*same, ("CSeq", "20 CANCEL")]))
        web.hears("failed", originator="remote", cause="Canceled")
        web.do("dial('404404')")
        web.hears("failed", originator="remote", status=404, cause="Not Found")


def called(phone: Phone, web: BrowserPhone, status: int) -> Message:
    """The phone calls the browser, which refuses; gives what the phone hears."""
    invite = phone.invite(web.number, cseq=10)
    web.hears("newRTCSession", originator="remote")
    web.do(f"call.terminate({{ status_code: {status} }})")
    return refusal(phone, invite)


def refusal(phone: Phone, invite: Message) -> Message:
    """The refusal of an INVITE, acknowledged."""
    refused = phone.final("INVITE", int(invite.get("CSeq").split()[0]), 10)
    phone.send(phone.acknowledge(invite, refused))
    return refused


@scenario("JsSIP")
def a_browser_transfers_writes_and_asks(stage: Stage):
    with Switch(stage) as switch, Pages() as page, trusting(switch) as browser:
        phone, other = Phone(202).registered(), Phone(203).registered()
        web = BrowserPhone(browser, 205, page)
        web.hears("registered")
        web.do("dial('202')")
        call = phone.answer(seconds=10)
        web.hears("confirmed")
        web.do("transfer('203')")
        other.answer(seconds=10)
        web.hears("referAccepted", status=200)
        call.bye()
        other.respond(other.expect("BYE", 10), 200)
        web.do("write('202', 'Guten Tag, \\u00fcber WSS')")
        written = phone.expect("MESSAGE", 10)
        check(written.body.decode() == "Guten Tag, \u00fcber WSS", f"the phone reads {written}")
        phone.respond(written, 200)
        web.hears("messageSucceeded", status=200)
        check(phone.request("MESSAGE", phone.uri("205"), {"Content-Type": "text/plain"}, b"zur\xc3\xbcck", 10).status == 200, "MESSAGE to the browser")
        web.hears("newMessage", originator="remote", body="zur\u00fcck", **{"from": "202"})
        web.do("ask()")
        answer = web.hears("optionsSucceeded", status=200)
        check("INVITE" in answer["allow"], f"OPTIONS got {answer}")


@scenario("JsSIP")
def a_browser_whose_connection_breaks_registers_again_and_then_leaves(stage: Stage):
    with Switch(stage) as switch, Cable(CABLE_PORT, WSS_PORT) as cable, Pages() as page, trusting(switch) as browser:
        phone = Phone(202).registered()
        web = BrowserPhone(browser, 205, page, port=CABLE_PORT)
        web.hears("registered")
        cable.pull()
        web.hears("disconnected", error=True)
        wait_for("the end of its registration", lambda: refusal(phone, phone.invite("205")).status == 480)
        cable.plug()
        web.hears("registered")
        check(called(phone, web, 486).status == 486, "the browser is not called over its new connection")
        web.do("ua.unregister()")
        web.hears("unregistered")
        check(refusal(phone, phone.invite("205")).status == 480, "the browser is called after it has left")


@scenario("JsSIP")
def the_sound_of_a_browser_is_refused_and_the_browser_says_why(stage: Stage):
    with Switch(stage) as switch, Pages() as page, trusting(switch) as browser:
        phone = Phone(202).registered()
        web = BrowserPhone(browser, 205, page, plain=False)
        web.hears("registered")
        web.do("dial('600')")
        offer = web.hears("sdp")
        check("UDP/TLS/RTP/SAVPF" in offer["sdp"], f"the browser offers {offer}")
        web.hears("failed", originator="remote", status=488, cause="Incompatible SDP", warning=UNTAKEN)
        # It cannot take what we offer, either: the caller learns that.
        invite = phone.invite("205", cseq=10)
        web.hears("newRTCSession", originator="remote")
        web.do("answer()")
        web.hears("setRemoteDescriptionFailed")
        answer = refusal(phone, invite)
        check(answer.status == 488 and not answer.get("Warning"), f"the caller of a browser got {answer}")


@scenario("JsSIP")
def a_wrong_password_a_foreign_page_and_an_unknown_certificate_register_nothing(stage: Stage):
    settings = {("ringmaster", "web_origins"): f'["http://127.0.0.1:{PAGE_PORT}"]'}
    with Switch(stage, settings) as switch, Pages() as page, Pages(PAGE_PORT + 1) as foreign:
        with trusting(switch) as browser:
            wrong = BrowserPhone(browser, 205, page, word="wrong")
            wrong.hears("registrationFailed", status=401, cause="Authentication Error")
            BrowserPhone(browser, 205, foreign).hears("disconnected", error=True)
            BrowserPhone(browser, 205, page).hears("registered")
        with Chromium(switch.folder) as browser:
            BrowserPhone(browser, 205, page).hears("disconnected", error=True)

"""A phone in a browser: JsSIP over WSS in Chromium, whose sound comes and goes by ICE, DTLS-SRTP and Opus."""

from harness import audio
from harness.baresip import Baresip
from harness.browser import HERTZ, PAGE_PORT, BrowserPhone, Chromium, Pages, trusting
from harness.cable import Cable
from harness.phone import Call, Message, Phone
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import WSS_PORT, Switch

from .queue_audio import APART, SOON, TALK_SECONDS, heard_at_the_end

#: Where a browser is plugged in that loses its connection.
CABLE_PORT = 25066
#: The tone of who talks with a browser.
OTHER_HERTZ = 880


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


def hears_alone(web: BrowserPhone, hertz: float, other: float):
    """The browser hears this tone, loud, and not the other."""
    web.do("listen()")

    def levels():
        own, stranger = web.do(f"[level({hertz}), level({other})]")
        return own > -25 and own - stranger > APART and (own, stranger)

    web.until(f"{hertz} Hz alone", levels, 15)


def check_recorded(switch: Switch, customer: float, agent: float) -> dict:
    """The one call, DTLS-SRTP on the browser's leg, is recorded: left the customer's tone, right the agent's. Gives its record."""
    record = switch.wait_for_records(1)[0]
    recording = record["recordings"][0]
    check(not recording["error"], f"the recording has an error: {recording['error']}")
    left, right = audio.read(switch.recordings / recording["path"])
    length = audio.seconds(left)
    check(length > TALK_SECONDS - 1, f"the recording lasts {length:.1f} s")
    # A browser begins to be heard when ICE and DTLS are done.
    for side, samples, own, other in (("left", left, customer, agent), ("right", right, agent, customer)):
        end = audio.cut(samples, length - 1.2, length - 0.2)
        level = audio.level(end, own)
        check(level > -25, f"on the {side} {own} Hz is at {level:.0f} dB")
        if own != other:
            check(level - audio.level(end, other) > APART, f"on the {side} {other} Hz is heard as well")
    return record


@scenario("JsSIP")
def a_customer_in_a_browser_and_an_agent_with_a_phone_hear_each_other(stage: Stage):
    with Switch(stage, SOON) as switch, Pages() as page, trusting(switch) as browser, \
         Baresip(switch, 201, OTHER_HERTZ, answers=True, codec="PCMA") as agent:
        web = BrowserPhone(browser, 205, page)
        web.hears("registered")
        web.do("dial('700')")
        agent.wait("CALL_ESTABLISHED", 25)
        hears_alone(web, OTHER_HERTZ, HERTZ)
        agent.rest(TALK_SECONDS)
        web.do("call.terminate()")
        agent.wait("CALL_CLOSED")
        heard_at_the_end(agent, HERTZ, OTHER_HERTZ, TALK_SECONDS)
        record = check_recorded(switch, HERTZ, OTHER_HERTZ)
    told = [(leg["codec"], leg["srtp"]) for leg in record["legs"]]
    check(told == [("opus", "DTLS-SRTP"), ("PCMA", None)], f"the record says {told}")


@scenario("JsSIP")
def an_agent_in_a_browser_and_a_customer_with_a_phone_hear_each_other(stage: Stage):
    with Switch(stage, SOON) as switch, Pages() as page, trusting(switch) as browser, \
         Baresip(switch, 205, OTHER_HERTZ) as customer:
        web = BrowserPhone(browser, 201, page)
        web.hears("registered")
        customer.dial(700)
        web.hears("newRTCSession", 25, originator="remote", **{"from": "205"})
        web.do("answer()")
        web.hears("confirmed")
        hears_alone(web, OTHER_HERTZ, HERTZ)
        # Held, the customer hears music; taken back, the agent.
        for action, done in (("hold()", "held"), ("resume()", "resumed")):
            web.do(action)
            web.hears(done)
        hears_alone(web, OTHER_HERTZ, HERTZ)
        customer.rest(TALK_SECONDS)
        customer.hang_up()
        web.hears("ended", originator="remote")
        heard_at_the_end(customer, HERTZ, OTHER_HERTZ, TALK_SECONDS)
        record = check_recorded(switch, OTHER_HERTZ, HERTZ)
    told = [(leg["codec"], leg["srtp"]) for leg in record["legs"]]
    check(told == [("PCMU", None), ("PCMU", "DTLS-SRTP")], f"the record says {told}")
    media = record["legs"][1]["media"]
    # A round trip takes a report of ours and one of the browser's after it: up to 11 s.
    trip = media["round_trip_ms"] or 0
    check(media["reported"] and trip < 100, f"of what the browser reported, the record says {media}")


@scenario("JsSIP")
def two_browsers_talk_through_the_queue_in_opus(stage: Stage):
    with Switch(stage, SOON) as switch, Pages() as page, trusting(switch) as browser:
        customer, agent = BrowserPhone(browser, 205, page), BrowserPhone(browser, 201, page)
        for web in (customer, agent):
            web.hears("registered")
        customer.do("dial('700')")
        agent.hears("newRTCSession", 25, originator="remote")
        agent.do("answer()")
        agent.hears("confirmed")
        for web in (customer, agent):
            hears_alone(web, HERTZ, OTHER_HERTZ)
        customer.browser.run(customer.tab, f"new Promise(done => setTimeout(done, {TALK_SECONDS * 1000}))")
        customer.do("call.terminate()")
        agent.hears("ended", originator="remote")
        record = check_recorded(switch, HERTZ, HERTZ)
    told = [(leg["codec"], leg["srtp"]) for leg in record["legs"]]
    check(told == [("opus", "DTLS-SRTP")] * 2, f"the record says {told}")


@scenario("JsSIP")
def where_encryption_is_refused_a_browser_is_told_and_not_heard(stage: Stage):
    with Switch(stage, {("ringmaster", "srtp"): '"refused"'}) as switch, Pages() as page, trusting(switch) as browser:
        phone = Phone(202).registered()
        web = BrowserPhone(browser, 205, page)
        web.hears("registered")
        web.do("dial('600')")
        web.hears("failed", originator="remote", status=488, cause="Incompatible SDP")
        # It cannot take what we offer, either: the caller learns that.
        invite = phone.invite("205", cseq=10)
        web.hears("newRTCSession", originator="remote")
        web.do("answer()")
        web.hears("setRemoteDescriptionFailed")
        answer = refusal(phone, invite)
        check(answer.status == 488, f"the caller of a browser got {answer}")


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

"""Who forges the address of a victim makes the switch send to it: never more than was asked."""

from harness.flood import Flood
from harness.phone import Phone, fresh
from harness.scenario import Stage, check, scenario
from harness.switch import SIP_PORT, Switch

#: Octets of answer for each octet of question, at most.
FACTOR = 1.2


def smallest(method: str, phone: Phone) -> bytes:
    """The shortest request that is one."""
    return (
        f"{method} sip:a SIP/2.0\r\nv:SIP/2.0/UDP {phone.address};branch={fresh('z9hG4bK')}\r\nMax-Forwards:9\r\n"
        f"f:<sip:201@a>;tag=1\r\nt:<sip:201@a>\r\ni:{fresh()}\r\nCSeq:1 {method}\r\nm:<sip:a>\r\n\r\n"
    ).encode()


@scenario("hand-made")
def answers_are_never_longer_than_the_smallest_questions(stage: Stage):
    figures = {}
    with Switch(stage):
        for number, method in enumerate(("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "FROB"), 20):
            phone = Phone(201, host=f"127.0.0.{number}")
            asked = answered = questions = answers = 0
            for n in range(600):
                question = smallest(method, phone)
                phone.send(question)
                asked, questions = asked + len(question), questions + 1
                while answer := phone.receive(0 if n % 20 else 0.01):
                    answered, answers = answered + len(answer.octets()), answers + 1
            while answer := phone.receive(1.2):
                answered, answers = answered + len(answer.octets()), answers + 1
            figures[method] = round(answered / asked, 2)
            check(answers <= questions, f"{method}: {answers} answers to {questions} requests")
            check(answered <= FACTOR * asked, f"{method}: {answered} octets for {asked}")
            check(answers, f"{method}: no answer at all")
    return f"octets answered for each octet asked: {figures}"


@scenario("hand-made")
def a_flood_in_the_name_of_a_thousand_victims_is_not_made_bigger(stage: Stage):
    with Switch(stage):
        flood = Flood(stage.folder, SIP_PORT, "REGISTER", 20_000, 4, sources=1000).finish()
        check(flood.answers <= flood.sent and flood.answered <= FACTOR * flood.octets, f"{flood.answered} octets for {flood.octets}")
        return f"{flood}, {flood.answered / flood.octets:.2f} octets for each octet"

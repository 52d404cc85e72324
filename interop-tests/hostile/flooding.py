"""Floods, while phones talk: no call ends, sound goes on, and the flood leaves no trace in memory."""

import time

from harness.flood import Flood
from harness.phone import Phone
from harness.scenario import Stage, check, scenario, wait_for
from harness.sipp import Sipp
from harness.switch import SIP_PORT, TLS_PORT, Switch

#: Phones that talk meanwhile, each sending 50 packets in a second and hearing as many; and at full length.
TALKERS, LONG_TALKERS = range(1001, 1021), range(1001, 1101)
#: Of their RTP at most so much may be lost.
LOST_AT_MOST = 0.001
#: How long the answer to a known phone may take in 99 of 100 cases, in seconds.
ANSWER_WITHIN = 0.2
#: How long it waits at the most, and repeats its request meanwhile.
PATIENCE = 4
#: How much memory a flood may take, in MiB.
GROWS_AT_MOST = 64
#: The log is no victim either, in lines per second.
LINES_AT_MOST = 10
#: How long a flood lasts, in seconds; and at full length.
LASTS, LONG_LASTS = 5, 90
#: What a scenario may take that lasts so long, in seconds.
LONG = 180
#: So often is asked before the flood, to know what an answer takes then.
CALM_ASKS = 50


class Talk:
    """Calls that stand while something happens; leaving it holds them to their end."""

    def __init__(self, stage: Stage):
        self.talkers, self.lasts = (LONG_TALKERS, LONG_LASTS) if stage.long else (TALKERS, LASTS)
        self.switch = Switch(stage, phones=self.talkers)

    def __enter__(self) -> "Talk":
        self.switch.__enter__()
        self.known = Phone(205).registered()
        self.known.repeats = True
        self.calls = Sipp(self.switch, "caller", list(self.talkers), "600", rate=40, hold_ms=(self.lasts + 5) * 1000, seconds=self.lasts + 40)
        wait_for("all calls", lambda: self.switch.log().count(" begins") == len(self.talkers))
        self.answers, self.set_ups = [], []
        for _ in range(CALM_ASKS):
            self.ask()
        self.calm = ninety_nine(self.set_ups)
        self.asked = len(self.set_ups)
        wait_for("their lines in the log", lambda: self.switch.log().count(" ends cause=") >= self.asked)
        self.memory, self.lines, self.processor = self.switch.memory(), self.switch.log().count("\n"), self.switch.processor_time()
        self.answers, self.set_ups = [], []
        return self

    def ask(self):
        """A known phone asks something, calls and hangs up."""
        began = time.monotonic()
        status = self.known.request("OPTIONS", self.known.uri(), seconds=PATIENCE).status
        answered = time.monotonic()
        check(status == 200, f"OPTIONS of a registered phone got {status}")
        call = self.known.call("600", seconds=PATIENCE)
        self.answers.append(answered - began)
        self.set_ups.append(time.monotonic() - answered)
        check(call.request("BYE", seconds=PATIENCE).status == 200, "the known phone cannot hang up")

    def withstands(self, flood, within: float = ANSWER_WITHIN):
        """Asks while the flood runs; then what it must not have done to the switch. `within`: for 99 of 100 answers, in seconds."""
        while flood.runs():
            self.ask()
            time.sleep(0.01)
        flood.finish()
        self.processor = (self.switch.processor_time() - self.processor) / flood.seconds
        grown = self.switch.memory() - self.memory
        answer, set_up = ninety_nine(self.answers), ninety_nine(self.set_ups)
        # Each call of the known phone is two lines, and they are no consequence of the flood.
        lines = (self.switch.log().count("\n") - self.lines - 2 * len(self.set_ups)) / flood.seconds
        self.figures = (
            f"{flood}, {self.processor:.0%} of a core, {grown:.1f} MiB more, {max(lines, 0):.1f} lines/s; "
            f"p99 of a known phone: OPTIONS {answer * 1000:.1f} ms, call {set_up * 1000:.1f} ms, {self.calm * 1000:.1f} before"
        )
        check(max(answer, set_up) <= within, f"a known phone waits: {self.figures}")
        check(grown <= GROWS_AT_MOST, f"memory grows: {self.figures}")
        check(lines <= LINES_AT_MOST, f"the log is flooded: {self.figures}")

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.calls.finish()
            records = [one for one in self.switch.wait_for_records(len(self.talkers) + self.asked + len(self.set_ups)) if one["caller"] != self.known.number]
            early = [record["cause"] for record in records if record["ended_by"] != "caller"]
            check(not early, f"{len(early)} calls were lost: {early}")
            media = [leg["media"] for record in records for leg in record["legs"]]
            came, lost = sum(one["received"] for one in media), sum(one["lost"] for one in media)
            self.figures += f"; {len(records)} calls, {lost} of {came} packets lost"
            check(came > len(self.talkers) * 50 * self.lasts and lost <= LOST_AT_MOST * came, self.figures)
        self.switch.__exit__(kind, error, trace)


def ninety_nine(seconds: list[float]) -> float:
    """What 99 of 100 stay below."""
    return sorted(seconds)[len(seconds) * 99 // 100]


def flood(stage: Stage, kind: str, rate: int, sources: int = 1, port: int = SIP_PORT) -> str:
    """What a flood costs: see `Flood`."""
    with Talk(stage) as talk:
        talk.withstands(Flood(stage.folder, port, kind, rate, talk.lasts, sources))
    return talk.figures


@scenario("hand-made", long=LONG)
def fifty_thousand_datagrams_of_junk_a_second_cost_no_call(stage: Stage):
    return flood(stage, "junk", 50_000)


@scenario("hand-made", long=LONG)
def junk_from_a_thousand_addresses_costs_no_call(stage: Stage):
    return flood(stage, "junk", 10_000, sources=1000)


@scenario("hand-made", long=LONG)
def five_hundred_tls_handshakes_a_second_cost_no_call(stage: Stage):
    return flood(stage, "handshakes", 500, port=TLS_PORT)


@scenario("hand-made", long=LONG)
def twenty_thousand_register_a_second_cost_no_call(stage: Stage):
    return flood(stage, "REGISTER", 20_000, sources=16)


@scenario("hand-made", long=LONG)
def five_thousand_invite_a_second_cost_no_call(stage: Stage):
    return flood(stage, "INVITE", 5_000, sources=16)


@scenario("hand-made", long=LONG)
def five_thousand_subscribe_a_second_cost_no_call(stage: Stage):
    return flood(stage, "SUBSCRIBE", 5_000, sources=16)

"""Three queues at once, each with a strategy and rules of its own: the records say that who was to serve did."""

import re
from collections import Counter

from harness.scenario import Stage, check, scenario
from harness.sipp import Sipp, register
from harness.switch import Switch

from .first_minutes import ringmaster
from .queue_audio import moment

CUSTOMERS, AGENTS = range(1001, 1201), range(1201, 1251)
#: Each talks for so long; then the agent hangs up.
TALK_MS = 800
#: How long callers of `help` wait for the agents of its second level.
WAIT_SECONDS = 2
#: A record's times are whole milliseconds.
ROUNDING_MS = 2

FRONT, SALES, HELP, HELP_OF_LEVEL_2 = AGENTS[:20], AGENTS[20:35], AGENTS[35:43], AGENTS[43:]
QUEUES = {
    "front": ("1701", 'strategy = "top-down"', [(FRONT, 1)]),
    "sales": ("1702", 'strategy = "agent-with-fewest-calls"', [(SALES, 1)]),
    "help": ("1703", f"tier_rules_apply = true\ntier_rule_wait_second = {WAIT_SECONDS}", [(HELP, 1), (HELP_OF_LEVEL_2, 2)]),
}
CALLERS = {"front": CUSTOMERS[:80], "sales": CUSTOMERS[80:140], "help": CUSTOMERS[140:]}


def three_queues() -> dict[str, str]:
    """Without sounds: who waits hears the ringing tone."""
    queues, numbers = "", ""
    for name, (number, rules, levels) in QUEUES.items():
        members = "".join(
            f"  {{ agent = \"{agent}\", level = {level}, position = {position} }},\n"
            for agents, level in levels for position, agent in enumerate(agents, 1)
        )
        queues += f"[queues.{name}]\n{rules}\nagents = [\n{members}]\n"
        numbers += f'{number} = {{ queue = "{name}" }}\n'
    return {"queues": queues + "".join(f"[agents.{agent}]\nwrap_up_time = 0\n" for agent in AGENTS), "numbers": numbers}


@scenario("SIPp", limit=120)
def three_queues_serve_200_callers_by_their_strategies_and_rules(stage: Stage):
    with Switch(stage, extra=three_queues(), phones=[*CUSTOMERS, *AGENTS]) as switch:
        port = register(switch, AGENTS)
        agents = Sipp(switch, "answer_hangs_up", port=port, calls=len(CUSTOMERS), hold_ms=TALK_MS, seconds=80)
        runs = [
            Sipp(switch, "caller_stays", callers, QUEUES[name][0], rate=25, at_once=len(callers), seconds=80)
            for name, callers in CALLERS.items()
        ]
        for run in [*runs, agents]:
            run.finish()
        records = switch.wait_for_records(len(CUSTOMERS))
        check_report(stage)
    visits = [record["queues"][0] for record in records]
    check_nobody_serves_two(visits)
    served = {name: sorted((v for v in visits if v["queue"] == name), key=lambda v: v["joined"]) for name in QUEUES}
    for name, callers in CALLERS.items():
        outcomes = Counter(visit["outcome"] for visit in served[name])
        check(outcomes == {"answered": len(callers)}, f"{name}: {len(callers)} callers came, and were {dict(outcomes)}")
    came_first = [visit["agent"] for visit in served["front"] if visit["joined"] == served["front"][0]["joined"]]
    check(str(FRONT[0]) in came_first, f"top-down: {came_first} served who came first")
    used = {visit["agent"] for visit in served["sales"]}
    check(len(used) == len(SALES), f"fewest calls: {len(SALES) - len(used)} agents had no call, and others several")
    second = [visit for visit in served["help"] if int(visit["agent"]) in HELP_OF_LEVEL_2]
    check(second, "nobody of the second level served, though the first was busy")
    early = [visit["wait_ms"] for visit in second if visit["wait_ms"] < WAIT_SECONDS * 1000 - ROUNDING_MS]
    check(not early, f"the second level served after {early[:5]} ms")


def check_report(stage: Stage):
    """What is counted from the queue log is what SIPp's callers and agents saw."""
    told = ringmaster(stage, "report", "--config", "config")
    check(told.returncode == 0, f"report ended with {told.returncode}: {told.stdout}")
    for name, callers in CALLERS.items():
        row = re.search(rf"(?m)^{name} +(\d+) +(\d+) ", told.stdout)
        check(row and {row[1], row[2]} == {str(len(callers))}, f"the report says of {name}, which served {len(callers)}: {row and row[0]}")
    served = sum(int(calls) for calls in re.findall(r"(?m)^12\d\d +(\d+) ", told.stdout))
    check(served == len(CUSTOMERS), f"by the report agents served {served} of {len(CUSTOMERS)}")


def check_nobody_serves_two(visits: list[dict]):
    """No agent talks with two callers at once."""
    ends: dict[str, float] = {}
    for visit in sorted(visits, key=lambda visit: moment(visit["joined"]) + visit["wait_ms"]):
        start, agent = moment(visit["joined"]) + visit["wait_ms"], visit["agent"]
        check(ends.get(agent, 0) <= start + ROUNDING_MS, f"agent {agent} served two at once")
        ends[agent] = start + visit["talk_ms"]

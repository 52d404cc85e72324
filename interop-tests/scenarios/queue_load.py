"""Many at once: 200 phones register, 50 customers talk with 50 agents."""

import re
import time

from harness.scenario import Stage, check, scenario
from harness.sipp import Sipp, register
from harness.switch import FIRST_RTP_PORT, Switch

from .first_minutes import ringmaster
from .queue_audio import moment

CALLS = 50
PHONES = range(1001, 1201)
CUSTOMERS, AGENTS = PHONES[:CALLS], PHONES[-CALLS:]
NUMBER = "701"
#: From the customer's answer: start sound, offer, and some seconds of talk with all of the others.
HOLD_MS = 12_000
#: RTP ports for 75 calls: twice 50 calls pass only if the first 50 gave theirs back.
PORTS = 300
#: Freed ports rest for 2 s.
REST_SECONDS = 3


def many_agents() -> dict[str, str]:
    """A second queue, for so many agents."""
    members = "".join(f'  {{ agent = "{number}" }},\n' for number in AGENTS)
    agents = "".join(f"[agents.{number}]\nwrap_up_time = 0\n" for number in AGENTS)
    queue = f'[queues.many]\nstart_sound = "start"\nsound_type = "music"\nsound = "music"\nrecord_enabled = true\nagents = [\n{members}]\n{agents}'
    return {"queues": queue, "numbers": f'{NUMBER} = {{ queue = "many" }}\n'}


@scenario("SIPp", limit=120)
def fifty_customers_are_served_at_once_by_agents_of_200_phones(stage: Stage):
    settings = {("ringmaster", "last_port"): FIRST_RTP_PORT + PORTS - 1, ("ringmaster", "max_calls"): PORTS // 4}
    with Switch(stage, settings, many_agents(), PHONES) as switch:
        port = register(switch, PHONES)
        serve(switch, port)
        records = switch.wait_for_records(CALLS)
        for record in records:
            check_served(record)
        check(len({record["queues"][0]["agent"] for record in records}) == CALLS, "an agent served twice, and another not at all")
        together = most_at_once(records)
        check(together == CALLS, f"only {together} conversations stood at once")
        recordings = list(switch.recordings.rglob("*.wav"))
        check(len(recordings) == CALLS, f"there are {len(recordings)} recordings of {CALLS} calls")
        check(not list(switch.recordings.rglob("*.part")), "a recording was never closed")
        time.sleep(REST_SECONDS)
        files = switch.open_files()
        serve(switch, port)
        switch.wait_for_records(2 * CALLS)
        time.sleep(REST_SECONDS)
        check(switch.open_files() <= files, f"{switch.open_files()} files are open, {files} before the second {CALLS} calls")
    played_once_more(stage, records)


def played_once_more(stage: Stage, records: list[dict]):
    """The day's calls, as they were recorded, are served by the same agents in the simulation, too."""
    day = records[0]["queues"][0]["joined"][:10]
    told = ringmaster(stage, "simulate", day, "--config", "config", "--agents", "+1", "--queue", "many")
    check(told.returncode == 0, f"simulate ended with {told.returncode}: {told.stdout}")
    for row in [r"many +recorded", "as it is", "what if"]:
        found = re.search(rf"{row} +(\d+) +(\d+) ", told.stdout)
        check(found and int(found[1]) >= 1 and found[1] == found[2], f"not all calls of the day are served: {told.stdout}")


def serve(switch: Switch, port: int):
    """All customers call; all agents answer on the port from which their phones registered."""
    agents = Sipp(switch, "answer", port=port, calls=CALLS, seconds=60)
    customers = Sipp(switch, "caller", CUSTOMERS, NUMBER, rate=25, at_once=CALLS, hold_ms=HOLD_MS, seconds=60)
    customers.finish()
    agents.finish()


def check_served(record: dict):
    """This customer was served, and both legs had RTP both ways."""
    who, visit = f"customer {record['caller']}", record["queues"][0]
    check(visit["outcome"] == "answered", f"{who} was not served: {visit['outcome']}")
    check(record["ended_by"] == "caller", f"{who}'s call was ended by {record['ended_by']}")
    check(visit["wait_ms"] < 2000, f"{who} waited {visit['wait_ms']} ms with free agents")
    for leg in record["legs"]:
        media = leg["media"]
        check(media["received"] > 100 and media["sent"] > 100, f"{who}: {leg['account']}'s leg has {media['received']} packets in, {media['sent']} out")
        check(media["rejected"] == 0, f"{who}: {leg['account']}'s leg rejected {media['rejected']} packets")


def most_at_once(records: list[dict]) -> int:
    """How many conversations stood at the fullest moment."""
    changes = []
    for record in records:
        visit = record["queues"][0]
        start = moment(visit["joined"]) + visit["wait_ms"]
        changes += [(start, 1), (start + visit["talk_ms"], -1)]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most

"""Who guesses passwords is not heard any more; the phones that know theirs do not notice."""

import signal
import time

from harness.phone import Phone, parameters
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import Switch

#: Wrong passwords that ban an address; the default of `ban_after`.
BAN_AFTER = 5
#: Wrong passwords of one account in an hour from addresses that it never registered from; the default of `guesses_per_hour`.
GUESSES_PER_HOUR = 20
THIEF = "127.0.0.9"


def is_heard(host: str) -> bool:
    """Whether an address gets answers."""
    phone = Phone(999, host=host)
    phone.send(phone.message("OPTIONS", phone.uri()))
    return not phone.silence(0.5)


def guess(number, host: str, word: str, times: int = 1) -> list[int]:
    """Tries a password so often; gives the statuses, 0 for silence."""
    phone = Phone(number, host=host, password=word)
    statuses = []
    for _ in range(times):
        message = phone.message("REGISTER", phone.uri(), to=f"<{phone.uri(number)}>")
        phone.send(message)
        challenge = phone.receive(0.5)
        if not challenge:
            statuses.append(0)
            continue
        phone.learn(challenge)
        phone.send(phone.message("REGISTER", phone.uri(), {"Authorization": phone.authorization("REGISTER", phone.uri())}, to=f"<{phone.uri(number)}>", cseq=2))
        answer = phone.receive(0.5)
        statuses.append(answer.status if answer else 0)
    return statuses


@scenario("hand-made")
def the_fifth_wrong_password_bans_an_address(stage: Stage):
    with Switch(stage) as switch:
        statuses = guess(201, THIEF, "wrong", BAN_AFTER)
        check(statuses[:-1] == [401] * (BAN_AFTER - 1), f"the first guesses got {statuses}")
        check(not is_heard(THIEF), "the address is still answered")
        check(guess(201, THIEF, "ringmaster-201") == [0], "the right password is taken from it")
        check(is_heard("127.0.0.10"), "its neighbour is not answered")
        check(THIEF in switch.log(), "the log does not say so")
        Phone(201).registered()


@scenario("hand-made")
def unknown_names_ban_an_address_as_wrong_passwords_do(stage: Stage):
    with Switch(stage):
        known, unknown = guess(201, "127.0.0.8", "wrong", BAN_AFTER + 1), guess(999, THIEF, "wrong", BAN_AFTER + 1)
        check(known == unknown, f"a known name got {known}, an unknown one {unknown}")
        check(not is_heard(THIEF), "the address is still answered")


@scenario("hand-made")
def a_phone_goes_on_beside_one_that_guesses_at_its_address(stage: Stage):
    with Switch(stage):
        phone = Phone(201, host=THIEF).registered()
        call = phone.call("600")
        guess(205, THIEF, "wrong", 2 * BAN_AFTER)
        check(guess(205, THIEF, "ringmaster-205") in ([401], [0]), "after the guesses the right password is taken")
        check(phone.register().status == 200, "the phone cannot register any more")
        Phone(201, host=THIEF).registered()
        phone.call("601").bye()
        call.bye()


@scenario("hand-made")
def a_phone_goes_on_while_its_own_account_is_guessed_at_its_address(stage: Stage):
    with Switch(stage):
        phone = Phone(201, host=THIEF).registered()
        statuses = guess(201, THIEF, "wrong", 2 * GUESSES_PER_HOUR)
        check(set(statuses) == {401}, f"the guesses got {statuses}")
        check(guess(201, THIEF, "ringmaster-201") == [401], "a stranger's right guess is taken")
        check(phone.register().status == 200, "the phone is locked out")
        phone.call("600").bye()


@scenario("hand-made")
def a_hundred_addresses_together_get_twenty_guesses(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        for n in range(50):
            guess(205, f"127.70.0.{n + 1}", "wrong", 2)
        check(guess(205, "127.70.1.1", "ringmaster-205") == [401], "the right password is the 101st guess, and is taken")
        check(guess(206, "127.70.1.2", "ringmaster-206") == [200], "another account suffers")
        check(phone.register().status == 200, "the phone itself is locked out")
        phone.call("600").bye()


@scenario("hand-made")
def twenty_guesses_in_an_hour_and_no_more_are_tried(stage: Stage):
    with Switch(stage):
        Phone(205).registered()
        for tried in range(GUESSES_PER_HOUR):
            guess(205, f"127.70.0.{tried + 1}", "wrong")
        check(guess(205, "127.70.1.1", "ringmaster-205") == [401], f"guess {GUESSES_PER_HOUR + 1} is tried")


@scenario("hand-made")
def a_forged_sender_gets_nobody_banned(stage: Stage):
    with Switch(stage):
        # Who forges an address never sees the challenge that goes there.
        forger, victim = Phone(201, host=THIEF, password="wrong"), Phone(205, host=THIEF)
        other = Phone(201)
        other.learn(other.register(headers={"Authorization": "Digest x"}))
        stolen, invented = parameters(other.challenge)["nonce"], "0" * len(parameters(other.challenge)["nonce"])
        for nonce in (stolen, invented):
            forger.challenge = f'Digest realm="ringmaster", nonce="{nonce}", algorithm=SHA-256, qop="auth"'
            for _ in range(2 * BAN_AFTER):
                forger.send(forger.message("REGISTER", forger.uri(), {"Authorization": forger.authorization("REGISTER", forger.uri())}))
        time.sleep(0.2)
        victim.registered()


@scenario("hand-made", waits=True)
def a_ban_ends_the_next_is_twice_as_long_and_a_reload_lifts_it(stage: Stage):
    with Switch(stage, {("ringmaster", "ban_time"): 2}) as switch:
        for length in (2, 4):
            guess(201, THIEF, "wrong", BAN_AFTER)
            began = time.monotonic()
            check(not is_heard(THIEF), "the address is still answered")
            wait_for("the end of the ban", lambda: is_heard(THIEF), length + 3)
            lasted = time.monotonic() - began
            check(length - 0.6 < lasted < length + 1, f"the ban lasted {lasted:.1f} s instead of {length}")
        guess(201, THIEF, "wrong", BAN_AFTER)
        check(not is_heard(THIEF), "the address is still answered")
        switch.signal(signal.SIGHUP)
        wait_for("the reload", lambda: "took the configuration" in switch.log())
        wait_for("an answer after the reload", lambda: is_heard(THIEF), 2)

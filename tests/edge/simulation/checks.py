"""What must hold of every history, judged afterwards from what callers saw and a small model of their own.

None of this knows how the service works: a check takes the calls, the times at which they began and ended, and what the
store held in the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Set
from typing import Any

from tests.edge.simulation.backing import EPOCH_MS
from tests.edge.simulation.history import Call, History
from tests.edge.simulation.strategy import CAP, CAP_WITHIN_MS, HOLD_MS, OFFERS, SAFE, SCARCE, UNITS

STORED, REPEATED = 1, 2
ACCEPTED, DECLINED = 3, (4, 6)
ROUNDED_S = 1e-6
SAFE_ONLY = {14, 16, 21}
"""The reasons of degraded answers that say nothing but the safe greeting: no store, no time, nobody to know."""
ALIASES = {"ann-on-the-web": "ann"}

Check = Callable[[History], Iterator[str]]


def violations(history: History) -> list[str]:
    """Return everything that a history breaks, each named by its check."""
    found = [f"broken: {what}" for what in history.broken]
    return found + [f"{check.__name__}: {what}" for check in CHECKS for what in check(history)]


def person(call: Call) -> str:
    """Return the person that a call is about."""
    customer = str(call.told["customer"])
    return ALIASES.get(customer, customer)


def made(history: History) -> list[Call]:
    """Return the first answer of each decision that was made."""
    first: dict[str, Call] = {}
    for call in history.of("decide"):
        if call.answer is not None and call.answer["id"]:
            first.setdefault(call.answer["id"], call)
    return list(first.values())


def offers(call: Call) -> list[str]:
    """Return what a decision offers."""
    assert call.answer is not None
    return [action for action in call.answer["said"] if action in OFFERS]


def is_fresh(history: History, decision: Call, since: float) -> bool:
    """Tell whether a decision cannot have been made before a moment: nobody asked under its key until then."""
    key = decision.told["key"]
    if decision.began < since:
        return False
    asked = (
        call for call in history.of("decide") if key and call.told["key"] == key and person(call) == person(decision)
    )
    return all(call.began >= since for call in asked)


def answers_in_time(history: History) -> Iterator[str]:
    """Every decision is answered before its caller's deadline, unless the caller left, or its process died."""
    for call in history.of("decide"):
        assert call.ended is not None
        if call.answer is None and not (call.left and call.failed == "cancelled"):
            yield f"a decision ended with {call.failed}, and its caller had {'left' if call.left else 'not left'}"
        elif call.ended - call.began > call.told["within_s"] + ROUNDED_S:
            yield f"{call.ended - call.began:.4f} s instead of {call.told['within_s']} s, from {call.began:.6f}"


def only_who_left_is_cancelled(history: History) -> Iterator[str]:
    """No call of any kind ends as cancelled while its caller waits and its process lives."""
    for call in history.calls:
        if call.failed == "cancelled" and not call.left:
            yield f"{call.kind} at {call.began:.6f} was cancelled, and nobody had left"


def calm_is_answered_in_full(history: History) -> Iterator[str]:
    """Where nothing is ever wrong no answer is degraded."""
    for call in history.of("decide") if history.calm else ():
        if call.answer is not None and call.answer["degraded"]:
            yield f"{person(call)} was answered less, {call.answer['degraded']}, at {call.began:.6f}"


def degraded_is_safe(history: History) -> Iterator[str]:
    """An answer that the store had no part in is the safe greeting or nothing, and names no decision."""
    for call in history.of("decide"):
        if call.answer is None or not SAFE_ONLY.intersection(call.answer["degraded"]):
            continue
        if call.answer["id"] or any(action not in ("", SAFE) for action in call.answer["said"]):
            yield f"{call.answer['said']} was said, degraded, at {call.began:.6f}"


def caps_hold(history: History) -> Iterator[str]:
    """Nobody hears more offers in a window than the cap allows, by the store's clock, whichever process was asked."""
    for who in {person(call) for call in history.of("decide")}:
        kept = [call for call in made(history) if person(call) == who and history.kept(call)]
        times = sorted((call.answer or {})["at_ms"] for call in kept for _ in offers(call))
        for first, last in zip(times, times[CAP:], strict=False):
            if last - first < CAP_WITHIN_MS:
                yield f"{who} heard {CAP + 1} offers within {last - first} ms"


def one_key_one_answer(history: History) -> Iterator[str]:
    """Whatever was answered under a key is answered again under it."""
    said: dict[tuple[str, str], Call] = {}
    for call in history.of("decide"):
        key = (person(call), call.told["key"])
        if not key[1] or call.answer is None or not call.answer["id"] or not history.kept(call):
            continue
        first = (said.setdefault(key, call)).answer
        assert first is not None
        if (first["id"], first["said"]) != (call.answer["id"], call.answer["said"]):
            yield f"{key}: {first['said']} and then {call.answer['said']}"


def withdrawals(history: History, who: str, before: float) -> Call | None:
    """Return the last withdrawal that a person had acknowledged before a moment, unless a consent was given since."""
    calls = [call for call in history.of("consent") if person(call) == who]
    acked = [call for call in calls if call.acked and call.ended is not None and call.ended <= before]
    last = next((call for call in reversed(acked) if call.told["level"] != "full" and history.kept(call)), None)
    if last is None:
        return None
    given = any(call.told["level"] == "full" and call.began >= last.began for call in calls if call.began <= before)
    return None if given else last


def consent_holds(history: History) -> Iterator[str]:
    """Nobody is offered anything by a decision that began after the acknowledgement of their withdrawal."""
    for call in made(history):
        last = withdrawals(history, person(call), call.began) if offers(call) else None
        if last is None or not is_fresh(history, call, last.ended or 0.0):
            continue
        if not _given_between(history, person(call), call):
            yield f"{person(call)} was offered {offers(call)} at {call.began:.6f}, withdrawn at {last.ended:.6f}"


def _given_between(history: History, who: str, decision: Call) -> bool:
    """Tell whether a consent was given while a decision was made."""
    return any(
        call.told["level"] == "full" and decision.began <= call.began <= (decision.ended or 0.0)
        for call in history.of("consent")
        if person(call) == who
    )


def nothing_said_later(history: History) -> Iterator[str]:
    """What was decided before a withdrawal is not said after it: whoever asks again is told that it may not be."""
    for call in history.of("validate"):
        if call.answer is None or call.told["action"] not in OFFERS:
            continue
        last = withdrawals(history, person(call), call.began)
        if (
            last
            and not _given_between(history, person(call), call)
            and call.told["action"] not in call.answer["forbidden"]
        ):
            yield f"{person(call)} may still hear {call.told['action']} at {call.began:.6f}"


def consents_are_kept(history: History) -> Iterator[str]:
    """The consent that was acknowledged last is the one that holds."""
    calls = [call for call in history.of("consent") if f"consent {person(call)}" in history.final]
    for who in {person(call) for call in calls}:
        own = [call for call in calls if person(call) == who][:-1]  # the very last one is given after all was looked at
        if own and own[-1].acked and history.kept(own[-1]):
            holds = history.final[f"consent {who}"]
            if holds != own[-1].told["level"]:
                yield f"{who} agreed to {own[-1].told['level']}, and {holds} holds"


def events_count_once(history: History) -> Iterator[str]:
    """Every acknowledged event counts once, none twice, and the latest is the one that happened last."""
    for name, final in history.final.items():
        if not name.startswith("known "):
            continue
        who = name.removeprefix("known ")
        told: dict[int, Call] = {}
        sure = set()
        for call in history.of("event"):
            if person(call) == who:
                told[call.told["number"]] = call
                if call.acked and history.kept(call):
                    sure.add(call.told["number"])
        yield from _sums(who, final, told, sure)


def _sums(who: str, final: dict[str, Any], told: dict[int, Call], sure: set[int]) -> Iterator[str]:
    digits = _digits(int(final["spend"] or 0))
    counted = {number for number, times in enumerate(digits) if times}
    if any(times > 1 for times in digits) or (final["bought"] or 0) != len(counted):
        yield f"{who} bought {final['bought']} times, for {digits}"
    if lost := sure - counted:
        yield f"{who}: acknowledged events {sorted(lost)} are lost"
    if counted - told.keys():
        yield f"{who}: events {sorted(counted - told.keys())} were never told"
    elif counted:
        latest = max(told[number].told["at_ms"] for number in counted)
        if final["latest"] not in {float(4**number) for number in counted if told[number].told["at_ms"] == latest}:
            yield f"{who}: {final['latest']} is not the latest"


def _digits(number: int) -> list[int]:
    digits = []
    while number:
        number, digit = divmod(number, 4)
        digits.append(digit)
    return digits


def decisions_are_kept(history: History) -> Iterator[str]:
    """Every decision that was answered is in the log, once, as it was answered; and all that is there was asked for."""
    times = Counter(entry["id"] for entry in history.final["log"])
    yield from (f"{decision} is there {there} times" for decision, there in times.items() if there > 1)
    logged = {entry["id"]: (entry["i"], entry["a"]) for entry in history.final["log"]}
    for call in made(history):
        assert call.answer is not None
        said = "\x1f".join(action for action in call.answer["said"] if action)
        if history.kept(call) and logged.get(call.answer["id"]) != (person(call), said):
            yield f"{call.answer['id']} was answered, and the log has {logged.get(call.answer['id'])}"
    if foreign := {who for who, _ in logged.values()} - {person(call) for call in history.of("decide")}:
        yield f"the log has decisions about {foreign}"


def outcomes_count_once(history: History) -> Iterator[str]:
    """Every acknowledged outcome is there once, and its decision is known as long as it was acknowledged."""
    kept = Counter((entry["d"], entry["a"], int(entry["k"])) for entry in history.final["outcomes"])
    yield from (f"{outcome} is there {times} times" for outcome, times in kept.items() if times > 1)
    sure = {(call.answer or {})["id"] for call in made(history) if history.kept(call)}
    for call in history.of("outcome"):
        named = call.told["decision"], call.told["action"], call.told["kind"]
        if call.answer is None or not history.kept(call):
            continue
        if call.answer["status"] in (STORED, REPEATED):
            if named not in kept:
                yield f"{named} was acknowledged and is lost"
        elif named[0] in sure:
            yield f"{named} was refused with {call.answer['status']}"


def refusals_hold(history: History) -> Iterator[str]:
    """What somebody has said no to is not offered again by whatever decision begins after the acknowledgement."""
    refused = [
        call
        for call in history.of("outcome")
        if call.answer
        and call.answer["status"] in (STORED, REPEATED)
        and call.told["kind"] in DECLINED
        and history.kept(call)
    ]
    for call in made(history):
        for no in refused:
            same = person(no) == person(call) and no.told["action"] in offers(call)
            if same and is_fresh(history, call, no.ended or 0.0):
                yield f"{person(call)} was offered {no.told['action']} at {call.began:.6f}, refused at {no.ended:.6f}"


def promises_hold(history: History) -> Iterator[str]:
    """Where one story is promised nobody is offered two things, by whichever processes, before they answered to one."""
    decided = [call for call in made(history) if history.promises and offers(call) and history.kept(call)]
    for place, first in enumerate(decided):
        for other in decided[place + 1 :]:
            both = {*offers(first), *offers(other)}
            until = max(first.ended or 0.0, other.ended or 0.0)
            if person(first) == person(other) and len(both) > 1 and not _answered(history, person(first), both, until):
                yield f"{person(first)} was offered {sorted(both)}, at {first.began:.6f} and {other.began:.6f}"


def _answered(history: History, who: str, actions: Set[str], before: float) -> bool:
    return any(
        call.told["action"] in actions and call.began <= before
        for call in history.of("outcome")
        if person(call) == who and call.told["kind"] >= ACCEPTED
    )


def supply_is_never_over_granted(history: History) -> Iterator[str]:
    """No more is promised than there is, and what nobody has is free again when the holds have ended."""
    answered = [call for call in history.of("outcome") if call.told["action"] == SCARCE]
    freed = {call.told["decision"] for call in answered if call.told["kind"] in DECLINED}
    sold = [call for call in made(history) if SCARCE in offers(call) and history.kept(call)]
    held = [call for call in sold if (call.answer or {})["id"] not in freed]
    if len(held) > UNITS and held[-1].began - held[0].began < HOLD_MS / 1000:
        yield f"{len(held)} of {UNITS} were promised"
    accepted = [call for call in answered if call.told["kind"] == ACCEPTED]
    sure = {call.told["decision"] for call in accepted if history.kept(call) and _was_recorded(call)}
    maybe = {call.told["decision"] for call in accepted}
    free = history.final["free"]
    if free is not None and not max(0, UNITS - len(maybe)) <= free <= max(0, UNITS - len(sure)):
        yield f"{free} of {UNITS} are free, {len(sure)} to {len(maybe)} were accepted"


def _was_recorded(outcome: Call) -> bool:
    return outcome.answer is not None and outcome.answer["status"] in (STORED, REPEATED)


def nobody_hears_of_others(history: History) -> Iterator[str]:
    """No answer has the words of another customer."""
    for call in history.of("decide"):
        for text in (call.answer or {"texts": ()})["texts"]:
            if "<" in text and f"<{person(call)}>" not in text:
                yield f"{person(call)} was told {text!r}"
    for name, final in history.final.items():
        if name.startswith("known ") and final["tag"] not in (None, f"<{name.removeprefix('known ')}>"):
            yield f"{name}: {final['tag']}"


def nothing_is_committed_after_a_withdrawal(history: History) -> Iterator[str]:
    """No offer enters the log after the acknowledgement of a withdrawal, whenever its decision began."""
    if history.skewed:
        return  # the store's clock is another one since: times of the log say nothing
    for entry in history.final["log"]:
        at_s = (int(entry["at"].partition("-")[0]) - EPOCH_MS) / 1000
        last = withdrawals(history, entry["i"], at_s - 0.002) if set(entry["a"].split("\x1f")) & set(OFFERS) else None
        own = (call for call in history.of("consent") if person(call) == entry["i"] and call.told["level"] == "full")
        if any(at_s - 0.002 <= call.began <= at_s + 0.002 for call in own):
            continue  # the log's moments are rounded: given in that very moment
        if last is not None:
            yield f"{entry['i']} was offered {entry['a']} at {at_s:.3f}, withdrawn at {last.ended:.6f}"


CHECKS: tuple[Check, ...] = (
    answers_in_time,
    only_who_left_is_cancelled,
    calm_is_answered_in_full,
    degraded_is_safe,
    caps_hold,
    one_key_one_answer,
    consent_holds,
    nothing_said_later,
    nothing_is_committed_after_a_withdrawal,
    consents_are_kept,
    events_count_once,
    decisions_are_kept,
    outcomes_count_once,
    refusals_hold,
    promises_hold,
    supply_is_never_over_granted,
    nobody_hears_of_others,
)

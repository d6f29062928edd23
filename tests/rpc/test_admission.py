"""Who may begin a decision, who waits behind whom, and who is shed: on a clock that only the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from service.core.explained import Depth
from service.errors import DeadlineExpired, Overloaded
from service.rpc.access.who import WHO, Caller, Role
from service.rpc.admission.admission import MOST_WAITING, SHARES, SWEEPS_S, WINDOW_S, Admission
from service.rpc.admission.classes import DESKTOP, EMAIL, WEB, Classes, read_classes
from service.rpc.admission.limit import FIRST, LEAST, TARGET_S, AdaptiveLimit
from service.rpc.admission.queues import FIFO_S
from service.rpc.admission.shed import KEPT_S, MOST_OF_A_CONNECTION, Places, Reason, places_of
from service.rpc.admission.told import families
from service.rpc.wrapper import ending_in


class Clock:
    """Seconds that pass when the test says so; what was to be done later is done then."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now_s

    def later(self, delay_s: float, then: Callable[[], None]) -> None:
        """Do something later."""
        self._due.append((self.now_s + delay_s, then))

    async def passes(self, seconds: float) -> None:
        """Let time pass, and let everybody act on it."""
        self.now_s += seconds
        due = [then for at, then in self._due if at <= self.now_s]
        self._due = [(at, then) for at, then in self._due if at > self.now_s]
        for then in due:
            then()
        await settled()


class Connection:
    """A call that came by a connection."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def peer(self) -> str:
        """See `Connected`."""
        return self._peer


async def settled() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


def filled(clock: Clock) -> Admission:
    """Return an admission with no place left for anybody."""
    admission = Admission(clock=clock, later=clock.later, random=Random(1))
    for kind in (EMAIL, WEB, DESKTOP):
        while admission.take(kind):
            pass
    assert sum(admission.working) == admission.limit == FIRST
    return admission


async def test_no_class_uses_up_all() -> None:
    """A class alone gets its share of the limit and no more, and others still find room."""
    clock = Clock()
    for kind in (DESKTOP, WEB, EMAIL):
        admission = Admission(clock=clock, later=clock.later)
        taken = 0
        while admission.take(kind):
            taken += 1
        assert taken == int(FIRST * SHARES[kind]) < FIRST
        assert admission.take((kind + 1) % len(SHARES))


async def test_desktops_before_the_web_before_email() -> None:
    """Places that come free go to the most urgent class, whoever came first."""
    clock = Clock()
    admission, order = filled(clock), list[str]()

    async def asks(kind: int, name: str) -> None:
        await admission.wait(kind, 10.0)
        order.append(name)

    tasks = [asyncio.create_task(asks(kind, name)) for kind, name in ((EMAIL, "e"), (WEB, "w"), (DESKTOP, "d"))]
    await settled()
    assert admission.waiting == (1, 1, 1)
    for _ in range(3):
        admission.give_back(EMAIL, clock())
        await settled()
    assert order == ["d", "w", "e"]
    await asyncio.gather(*tasks)


async def test_the_newest_pass_when_all_have_waited_long() -> None:
    """The oldest is served first while that helps; later the newest is, for it still has time."""
    clock = Clock()
    admission, order = filled(clock), list[int]()

    async def asks(number: int) -> None:
        await admission.wait(WEB, 10.0)
        order.append(number)

    tasks = [asyncio.create_task(asks(number)) for number in range(4)]
    await settled()
    admission.give_back(WEB, clock())
    await settled()
    clock.now_s += FIFO_S + 0.01
    for _ in range(3):
        admission.give_back(WEB, clock())
        await settled()
    assert order == [0, 3, 2, 1]
    await asyncio.gather(*tasks)


async def test_half_the_time_is_waited_and_no_more() -> None:
    """Who has waited for half of the time is told to come again, while the caller still has time for something else."""
    clock = Clock()
    admission = filled(clock)
    asked = asyncio.create_task(admission.wait(WEB, 0.2))
    await settled()
    await clock.passes(SWEEPS_S)
    assert not asked.done()
    await clock.passes(0.09)
    with pytest.raises(Overloaded) as refused:
        await asked
    assert 0.05 <= refused.value.wait_s <= 3.0
    assert admission.shed[WEB, Reason.SLOW] == 1
    assert admission.waiting == (0, 0, 0)


async def test_impatient_behind_a_patient_one() -> None:
    """Half of one's own time counts, whoever stands at the head of the line."""
    clock = Clock()
    admission = filled(clock)
    head, behind = (asyncio.create_task(admission.wait(WEB, seconds)) for seconds in (60.0, 0.2))
    await settled()
    await clock.passes(0.11)
    assert not head.done()
    with pytest.raises(Overloaded):
        await behind
    assert admission.waiting[WEB] == 1
    head.cancel()
    await asyncio.gather(head, return_exceptions=True)
    assert admission.waiting[WEB] == 0


async def test_who_waits_is_ended_by_a_timeout() -> None:
    """A timeout around what waits ends as one: `asyncio.timeout` takes only the plain CancelledError for its own."""
    admission = Admission()
    while admission.take(WEB):
        pass
    with pytest.raises(DeadlineExpired):
        async with ending_in(0.01):
            await admission.wait(WEB, 60.0)


async def test_items_of_streams_wait_for_their_turn() -> None:
    """Any number waits as long as the stream goes on, first come, first served, and none is shed."""
    clock = Clock()
    admission, order = filled(clock), list[int]()

    async def item(number: int) -> None:
        await admission.wait_in_turn(EMAIL)
        order.append(number)
        admission.give_back(EMAIL, clock())

    tasks = [asyncio.create_task(item(number)) for number in range(MOST_WAITING[EMAIL] + 100)]
    await settled()
    for _ in range(20):
        await clock.passes(5.0)
    assert admission.waiting[EMAIL] == len(tasks)
    tasks.pop().cancel()
    admission.give_back(EMAIL, clock())
    while len(order) < len(tasks):
        await settled()
    assert order == list(range(len(tasks)))
    assert sum(admission.shed.values()) == admission.shed[EMAIL, Reason.LEFT] == 1


async def test_calls_and_channels_take_turns() -> None:
    """Neither a stream nor one channel keeps the others of its class waiting until all of its own are served."""
    clock = Clock()
    admission, order = filled(clock), list[str]()

    async def asks(channel: str, *, streamed: bool) -> None:
        if streamed:
            await admission.wait_in_turn(EMAIL, channel)
        else:
            await admission.wait(EMAIL, 60.0, channel)
        order.append(channel)

    asked = [("a", True)] * 3 + [("b", False)] * 3 + [("c", False)]
    tasks = [asyncio.create_task(asks(channel, streamed=streamed)) for channel, streamed in asked]
    await settled()
    for _ in tasks:
        admission.give_back(EMAIL, clock())
        await settled()
    assert "".join(order) == "abcabab"
    await asyncio.gather(*tasks)


async def test_email_always_has_a_place() -> None:
    """When desktops and the web take all of a small limit, one of e-mail is made besides, and no more."""
    clock = Clock()
    admission = Admission(clock=clock, later=clock.later)
    for kind in (DESKTOP, WEB):
        while admission.take(kind):
            pass
    assert sum(admission.working) == FIRST
    assert admission.take(EMAIL)
    assert not admission.take(EMAIL)
    assert not admission.take(WEB)


async def test_too_many_wait() -> None:
    """The queue of a class is bounded; the one that has waited longest makes room."""
    clock = Clock()
    admission = filled(clock)
    tasks = [asyncio.create_task(admission.wait(EMAIL, 60.0)) for _ in range(MOST_WAITING[EMAIL] + 1)]
    await settled()
    assert admission.waiting[EMAIL] == MOST_WAITING[EMAIL]
    with pytest.raises(Overloaded):
        await tasks[0]
    assert admission.shed[EMAIL, Reason.FULL] == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert admission.waiting == (0, 0, 0)


async def test_who_left_gets_no_place() -> None:
    """A caller who leaves while it waits is forgotten; one who leaves just as it is served gives the place on."""
    clock = Clock()
    admission = filled(clock)
    leaves, stays = (asyncio.create_task(admission.wait(WEB, 10.0)) for _ in range(2))
    await settled()
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError) as left:
        await leaves
    assert places_of(left.value) is admission.places
    assert admission.waiting[WEB] == 1
    admission.give_back(WEB, clock())
    stays.cancel()  # in the same turn in which it gets the place
    with pytest.raises(asyncio.CancelledError):
        await stays
    assert sum(admission.working) == FIRST - 1
    assert admission.shed[WEB, Reason.LEFT] == 2


async def test_what_is_too_late_is_not_begun() -> None:
    """When decisions take 50 ms, a call with 10 ms left is refused before anything is done for it."""
    clock = Clock()
    admission = filled(clock)
    waits = asyncio.create_task(admission.wait(WEB, 10.0))
    await settled()
    clock.now_s += 1.5 * WINDOW_S
    admission.give_back(EMAIL, clock() - 0.05)
    with pytest.raises(DeadlineExpired):
        await admission.wait(EMAIL, 0.01)
    assert admission.shed[EMAIL, Reason.LATE] == 1
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)


async def test_what_is_left_of_the_deadline() -> None:
    """The time that was waited is no time for the decision."""
    clock = Clock()
    admission = filled(clock)
    asked = asyncio.create_task(admission.wait(WEB, 1.0))
    await settled()
    clock.now_s += 0.3
    admission.give_back(WEB, clock())
    assert await asked == pytest.approx(0.7)


def test_the_limit_follows_the_latency() -> None:
    """Slow decisions cut the limit to its least, quick ones let it grow, and one that binds nobody goes back."""
    limit = AdaptiveLimit()
    for _ in range(4):
        limit.learn(0.03 * limit.value, short=True)
    assert limit.value < FIRST / 2
    for _ in range(30):
        limit.learn(0.005, short=True)
    assert limit.value > 2 * FIRST
    for _ in range(200):
        limit.learn(0.005, short=False)
    assert limit.value == FIRST


@pytest.mark.parametrize("slow_s", [0.03, 0.05, 0.2])
def test_a_latency_that_is_not_load(slow_s: float) -> None:
    """A store that becomes slow for everybody is no reason to ask it less: cutting it does not make it quick."""
    limit = AdaptiveLimit()
    for _ in range(10):
        limit.learn(0.001, short=False)
    for _ in range(15):
        limit.learn(slow_s, short=True)
    assert limit.value >= FIRST
    for _ in range(100):
        limit.learn(0.001 * limit.value, short=True)
    assert limit.target_s == TARGET_S


def test_who_needs_more_has_it_soon_while_decisions_are_quick() -> None:
    """Five windows suffice for six times as many at once; near the latency that may be, the same takes far longer."""
    quick, slow = AdaptiveLimit(), AdaptiveLimit()
    for _ in range(5):
        quick.learn(0.1 * TARGET_S, short=True)
        slow.learn(TARGET_S, short=True)
    assert quick.value > 6 * FIRST
    assert FIRST < slow.value < 3 * FIRST


def test_under_lasting_load_the_limit_stays_low() -> None:
    """A store of one thing at a time: the latency follows what is in work, so no more is asked than at least."""
    limit, values = AdaptiveLimit(), list[int]()
    for _ in range(300):
        limit.learn(0.012 * limit.value, short=True)
        values.append(limit.value)
    assert max(values[5:]) <= 3 * LEAST
    assert sum(values[20:]) / len(values[20:]) < LEAST + 1
    assert limit.target_s < 3 * 0.012 * LEAST


async def test_a_loop_that_stood_still_cuts_nothing() -> None:
    """One window of 400 ms in which the loop stood still says nothing of how much was in work; two do."""
    clock = Clock()
    admission = filled(clock)
    waits = [asyncio.create_task(admission.wait(WEB, 60.0)) for _ in range(9)]
    await settled()
    clock.now_s += 0.4
    admission.give_back(WEB, clock() - 0.4)
    assert admission.limit == FIRST
    clock.now_s += 0.4
    admission.give_back(WEB, clock() - 0.4)
    assert admission.limit < FIRST
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def test_places_are_kept_for_a_second() -> None:
    """The place of a call that was shed stays taken for a second, on a part of its connection; not at the end."""
    clock = Clock()
    places = Places(clock.later)
    for _ in range(MOST_OF_A_CONNECTION + 10):
        places.keep(Connection("ipv4:10.0.0.1:1"))
    places.keep(Connection("ipv4:10.0.0.2:1"))
    assert len(places) == MOST_OF_A_CONNECTION + 1
    await clock.passes(KEPT_S)
    assert len(places) == 0
    places.keep(Connection("ipv4:10.0.0.1:1"))
    places.close()
    places.keep(Connection("ipv4:10.0.0.1:1"))
    assert len(places) == 0
    await clock.passes(KEPT_S)


def test_the_class_of_a_call() -> None:
    """The role says the class before the channel; a stream is e-mail where nobody has a role; the rest is the web."""
    classes = Classes(read_classes("kiosk=desktop"))
    assert [classes.of(one) for one in ("desk", "email", "hero", "kiosk")] == [DESKTOP, EMAIL, WEB, DESKTOP]
    assert classes.of("desk", streamed=True) == EMAIL
    token = WHO.set(Caller("mailer", Role.EMAIL, frozenset({"desk"}), Depth.AGENT))
    try:
        assert classes.of("desk") == EMAIL
    finally:
        WHO.reset(token)


@pytest.mark.parametrize("text", ["desk", "desk=fast", "=web", "a=web,a=email"])
def test_a_bad_setting_of_classes(text: str) -> None:
    """What is no class is refused, with what would be right."""
    with pytest.raises(ValueError, match=r"class is desktop, web, email|named twice"):
        read_classes(text)


def test_what_is_told() -> None:
    """Metrics have every class and reason from the beginning, and no other label."""
    told = families(Admission())
    assert [one.name for one in told] == [
        f"tact.admission.{n}" for n in ("limit", "working", "waiting", "admitted", "shed")
    ]
    assert len(told[-1].points) == 3 * len(Reason)
    assert told[0].points[0].value == FIRST

"""Three consumers, one killed in the middle: every moment is acknowledged once or sent again, none is lost, and none is
sent after its reason was gone.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from redis import Redis

from service.core.due import State
from service.rpc.client import TactClient
from service.store.embedded import EmbeddedStore
from service.store.store import Store
from tests.cli.commands import ROOT, Process, clean
from tests.live.triggers.world import agreed, bought, left, now_ms, told, write_shop
from tests.profile import cases
from tests.store.patience import patient
from tests.store.running import LEVELS

MOMENTS = cases(400, 10_000)
CONSUMERS, CARTS = 3, 2
DUE_WITHIN_MS = cases(3_000, 20_000)
ENDS_WITHIN_S = cases(60, 170)
Cart = tuple[str, str]


@dataclass(slots=True)
class Kept:
    """What one consumer wrote: what it received and when that was sent (ms), what it acknowledged or began to."""

    received: list[tuple[Cart, str, int, float]] = field(default_factory=list)
    acknowledging: set[Cart] = field(default_factory=set)
    acknowledged: list[Cart] = field(default_factory=list)
    stopped: bool = False

    @property
    def in_hand(self) -> set[Cart]:
        """What it received and did not begin to acknowledge."""
        return {cart for cart, *_ in self.received} - self.acknowledging

    @classmethod
    def of(cls, path: Path) -> Kept:
        """Read the lines of a consumer, the last of which may be cut off."""
        kept = cls()
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            told = json.loads(line)
            if "received" in told:
                sent_ms = 1000 * datetime.fromisoformat(told["sent_at"]).timestamp()
                kept.received.append((tuple(told["received"]), told["decision"], told["delivery"], sent_ms))
            kept.stopped |= "stopped" in told
            kept.acknowledging |= {(one[0], one[1]) for one in told.get("acknowledging", ())}
            kept.acknowledged += [(one[0], one[1]) for one in told.get("acknowledged", ())]
        return kept


@contextmanager
def consumer(target: str, path: Path, *last: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a consumer until the test ends; with `last` one that stops in the middle, with something in hand."""
    command = [sys.executable, "-m", "tests.live.triggers.consumer", target, str(path), *map(str, last)]
    with subprocess.Popen(command, cwd=ROOT, env=clean(None), stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + ENDS_WITHIN_S
    while not holds():
        assert time.monotonic() < ends, "it took too long"
        await asyncio.sleep(0.1)


async def begin(consumers: Iterable[subprocess.Popen[bytes]], paths: list[Path]) -> None:
    """Let the consumers begin together once all are ready, however long each took to start."""
    await until(lambda: all(path.exists() and path.read_bytes().endswith(b"\n") for path in paths))
    for one in consumers:
        assert one.stdin
        one.stdin.write(b"begin\n")
        one.stdin.flush()


async def buying(tact: TactClient, carts: list[Cart], gone: dict[Cart, int], every_s: float) -> None:
    """Buy carts one after the other while they are sent, and note when each purchase was acknowledged (ms)."""
    for cart in carts:
        await told(tact, bought(*cart))
        gone[cart] = now_ms()
        await asyncio.sleep(every_s)


async def states(url: str, customers: list[str]) -> dict[Cart, State]:
    """Return what the store knows of every cart in the end."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none")
        await store.calls.load_functions()
        told = await asyncio.gather(*(store.moments.told(one) for one in customers))
    return {(who, key): state for who, some in zip(customers, told, strict=True) for _, key, state in some}


async def armed(tact: TactClient, dice: Random) -> tuple[list[Cart], list[Cart], list[Cart]]:
    """Leave all the carts; return those that nobody buys, that were bought before, and that are to be bought."""
    customers = [f"c{number}" for number in range(MOMENTS // CARTS)]
    for start in range(0, len(customers), 100):
        await agreed(tact, *customers[start : start + 100])
    carts = [(who, f"k{number}") for who in customers for number in range(CARTS)]
    begins = now_ms()
    await told(tact, *(left(*one, begins + dice.randrange(DUE_WITHIN_MS)) for one in carts))
    dice.shuffle(carts)
    tenth = len(carts) // 10
    await told(tact, *(bought(*cart) for cart in carts[:tenth]))
    return carts[2 * tenth :], carts[:tenth], carts[tenth : 2 * tenth]


@pytest.fixture
def store_of_its_own(tmp_path: Path) -> Iterator[str]:
    """Return the URL of a store; one kind is enough for what takes so long, tests/store has the others."""
    with EmbeddedStore(tmp_path / "store") as url:
        yield url


@pytest.fixture
def targets(store_of_its_own: str, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Serve the shop from two processes on one store, and return where."""
    shop = write_shop(tmp_path / "shop")
    words = ("serve", "--store", store_of_its_own, "--strategy", shop, "--port", "0", "--store-wait", "5", "--json")
    with Process(*words) as one, Process(*words) as other:
        yield one.serving().target, other.serving().target


async def test_none_is_lost_and_none_is_sent_too_late(
    store_of_its_own: str, targets: tuple[str, ...], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Of many due moments, with one of three consumers killed and carts bought all the while."""
    paths = [tmp_path / f"consumer-{number}" for number in range(CONSUMERS)]
    gone: dict[Cart, int] = {}
    async with TactClient(targets[0], timeout_s=30.0) as tact:
        alive, before, during = await armed(tact, Random(7))
        with (
            consumer(targets[0], paths[0], MOMENTS // 20) as killed,
            consumer(targets[1], paths[1]) as one,
            consumer(targets[0], paths[2]) as other,
        ):
            await begin((killed, one, other), paths)
            every_s = 0.7 * DUE_WITHIN_MS / 1000 / len(during)
            purchases = asyncio.create_task(buying(tact, during, gone, every_s))
            await until(lambda: Kept.of(paths[0]).stopped)
            killed.kill()
            killed.wait()
            in_hand = sorted(Kept.of(paths[0]).in_hand - set(during))
            await buying(tact, in_hand[::2], gone, 0.0)
            await purchases
            await until(lambda: nothing_due(store_of_its_own))
    kept = [Kept.of(path) for path in paths]
    customers = sorted({cart[0] for cart in (*alive, *before, *during)})
    report = checked(kept, alive, before, gone, await states(store_of_its_own, customers))
    record_property("printed", report)


def nothing_due(url: str) -> bool:
    """Tell whether no moment waits any more, lent or not."""
    with Redis.from_url(url) as raw:
        assert not list(raw.scan_iter("tact:*:dead:*", count=10_000))
        return not list(raw.scan_iter("tact:*:due:*", count=10_000))


def checked(
    kept: list[Kept], alive: list[Cart], before: list[Cart], gone: dict[Cart, int], ended: dict[Cart, State]
) -> str:
    """Hold what was received and acknowledged against what had to be; return it in numbers."""
    received = [one for some in kept for one in some.received]
    acknowledged = Counter(cart for some in kept for cart in some.acknowledged)
    doubtful = kept[0].acknowledging - set(kept[0].acknowledged)  # the one that was killed did not hear of these
    assert not {cart for cart, *_ in received} & set(before), "sent though it had been bought"
    assert max(acknowledged.values()) == 1, "acknowledged twice"
    alive = [cart for cart in alive if cart not in gone]
    lost = set(alive) - set(acknowledged) - doubtful
    assert not lost, f"{len(lost)} were lost"
    late = [(cart, sent_ms - gone[cart]) for cart, _, _, sent_ms in received if sent_ms > gone.get(cart, sent_ms)]
    assert not late, f"sent after it had been bought: {late[:3]}"
    decisions: dict[Cart, set[str]] = {}
    for cart, decision, _, _ in received:
        decisions.setdefault(cart, set()).add(decision)
    assert all(len(made) == 1 for made in decisions.values()), "sent again by another decision"
    assert all(ended[cart].how == "said" for cart in alive)
    again = sum(delivery > 1 for _, _, delivery, _ in received)
    unheard = kept[0].in_hand
    assert unheard & set(gone), "nothing was bought that it had in hand"
    assert again, "nothing was sent again"
    return (
        f"{len(alive) + len(before) + len(gone)} moments, {CONSUMERS} consumers, one killed, {len(unheard)} in hand: "
        f"{len(received)} received, {sum(acknowledged.values())} acknowledged once, {again} sent again, 0 lost; "
        f"{len(before)} bought before: 0 sent; {len(gone)} bought meanwhile: 0 sent after that"
    )

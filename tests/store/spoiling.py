"""Random commits and replies as they come, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from string import ascii_lowercase
from typing import Any

import msgspec

from service.core.decision import Bound, Commit, Counter, Counting
from service.core.memory import Give
from service.store import keys

NOW_MS = 1_790_000_000_000
LEVELS = {"none": "", "service": "s", "profiling": "sp", "full": "spf"}
CUSTOMER = "customer-1"
KEY = keys.decision_key(keys.repeatable_decision_id(CUSTOMER, "k"))
JUNK: Sequence[object] = (
    None,
    b"",
    b"x",
    b"\xc1",
    b"\xff\xff",
    0,
    1,
    -1,
    True,
    1.5,
    "",
    "text",
    "\ud800",
    (),
    [],
    [None],
    2**70,
)
NAMES = ("a", "anna", "web|2_per_week", "тест", "😀", "x" * 31, "x" * 32, "y" * 300, "a\r\nb", "{abc}", " ", "@@@")
NUMBERS = (0, 1, 31, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, NOW_MS, 2**63 - 1)
BELOW_ZERO = (-1, -32, -33, -128, -129, -(2**15), -(2**15) - 1, -(2**31), -(2**31) - 1, -(2**63))
VERSIONS = (None, None, b"0", b"7", b"1234567", b" 7 ", b"1_0", b"x", b"", b"9" * 18, b"9" * 25)
LETTERS = ("", "s", "sp", "spf", "ssx", ascii_lowercase, ascii_lowercase + "A")
_pack = msgspec.msgpack.encode


def a_counter(random: Random) -> Counter:
    """Return a cap counter, mostly one of a rolling window."""
    rare = [random.choice(NUMBERS) if random.random() < 0.1 else 0 for _ in range(4)]
    numbers = NUMBERS if random.random() < 0.8 else BELOW_ZERO
    return Counter(random.choice(NAMES), random.choice(numbers), random.choice(numbers), *rare)


def a_row(random: Random) -> tuple[tuple[str, tuple[Counter, ...]], ...]:
    """Return the candidates of a placement."""
    return tuple(
        (random.choice(NAMES), tuple(a_counter(random) for _ in range(random.choice((0, 1, 2, 7)))))
        for _ in range(random.choice((0, 1, 3, 40)))
    )


def a_commit(random: Random) -> Commit:
    """Return a commit as they come, now and then with what is rare."""
    customer = random.choice(NAMES)
    counting = Counting("scope", 3, 1, 2, (("a", "x", 0.5),)) if random.random() < 0.1 else None
    gives = (Give("a", "k", 7, b"facts"),) if random.random() < 0.1 else ()
    return Commit(
        customer, keys.fresh_decision_id(customer, random.randbytes(12)), random.randbytes(random.choice((0, 8))),
        random.choice(NUMBERS), random.randbytes(random.choice((0, 9, 700, 5_000))),
        tuple(a_row(random) for _ in range(random.choice((0, 1, 1, 2)))), random.choice(NUMBERS), (),
        random.choice(("", customer, "other")), random.randbytes(random.choice((0, 40))), gives,
        random.choice((None, 0, 3, 2**40)), random.choice(("", "web", "тест")), None, random.choice((0, NOW_MS)),
        counting,
    )  # fmt: skip


def spoiled(random: Random, value: Any) -> Any:  # noqa: ANN401 - whatever the store, or a caller, could hand over
    """Return a value with something wrong somewhere in it."""
    if isinstance(value, bytes) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        return random.choice((value[:at], value[:at] + random.randbytes(1) + value[at + 1 :], value + b"\x00"))
    if isinstance(value, (list, tuple)) and value and random.random() < 0.8:
        at, items = random.randrange(len(value)), list(value)
        items[at : at + 1] = random.choice(
            ([], [spoiled(random, value[at])], [spoiled(random, value[at])], [value[at]] * 2)
        )
        return type(value)(items)
    if isinstance(value, msgspec.Struct) and random.random() < 0.9:
        field = random.choice(value.__struct_fields__)
        return msgspec.structs.replace(value, **{field: spoiled(random, getattr(value, field))})
    return random.choice(JUNK)


def a_consent(random: Random) -> bytes | None:
    """Return a consent as the store keeps it."""
    level = random.choice((*LEVELS, "unheard of")) if random.random() < 0.3 else "profiling"
    channels = random.sample(("email", "web", "тест", "x" * 40), random.randrange(4))
    source = random.choice(("", "web form", "web form", "Büro"))
    packed = _pack((level, channels, NOW_MS, source, *random.choice(((), (NOW_MS,)))))
    return random.choice((None, *[packed] * 8, packed.replace(b"form", b"\xff\xff\xff\xff")))


def a_rare_part(random: Random) -> list[object]:
    """Return the rare part of a reply: mostly the latest contact alone."""
    contact = _pack((random.choice(NAMES), NOW_MS, random.sample(NAMES, 2))) if random.random() < 0.8 else None
    off = _pack((2**40, ["a"], False)) if random.random() < 0.2 else None
    memory: list[object] = [random.choice(VERSIONS), None, None, None, contact, off]
    if random.random() < 0.2:
        memory[1] = _pack([("a", "g", ["i"], 3, NOW_MS, "00ff")])
    if random.random() < 0.2:
        memory[3] = _pack({"c": [(NOW_MS, 0, "m", 0, 1, 0)]})
    rare: list[object] = [None, 0, None, memory if random.random() < 0.9 else None]
    if random.random() < 0.1:
        rare[0] = [b"entry", b"digest", _pack((0,)), _pack(()), 1]
    if random.random() < 0.1:
        rare[random.choice((1, 2))] = random.choice((1, [b"a", b"anna"], [b"p", _pack((("b", 7),)), None]))
    return rare


def a_read(random: Random) -> list[object]:
    """Return the reply to a read."""
    letters = random.choice(LETTERS)
    times = {random.choice(NAMES): [random.choice(NUMBERS) for _ in range(random.randrange(3))] for _ in range(3)}
    uses = _pack(times) if random.random() < 0.8 else None
    rare = a_rare_part(random) if random.random() < 0.5 else None
    values = [random.choice((None, b"state", b"")) for _ in letters]
    return [CUSTOMER.encode(), NOW_MS, a_consent(random), letters.encode(), uses, rare, *values]


def a_settlement(random: Random) -> list[object]:
    """Return the reply to a commit."""
    ranks = [random.choice((-1, 0, 1, 200, *BELOW_ZERO)) for _ in range(random.randrange(4))]
    bound = _pack((Bound(0, 1, "c", NOW_MS),)) if random.random() < 0.1 else _pack(())
    off = _pack((4, ["a"], False)) if random.random() < 0.1 else None
    again = random.random() < 0.1
    return [KEY, int(again), _pack(ranks), bound, off, *((b"entry of then", b"digest of then") if again else ())]

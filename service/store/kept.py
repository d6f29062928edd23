"""What the store answers about a person, as values: what is kept, decisions, outcomes, and what was removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from models.context import Purpose
from models.states import cells, unpacked
from service.core.plan import unpack
from service.core.records import Happened
from service.core.rights import Erased, Kept, KeptDecision, KeptOutcome, KeptReservation
from service.store.calls import StoreUnreadable
from service.store.consents import consent_of
from service.store.keys import EVENT_DIGEST_BYTES
from service.store.remembered import contact_of, promised_of, refusals_of, reserved_of
from service.store.replies import committed_of

Counts: TypeAlias = Counter[str]
"""How much was removed, by the names of `Erased`."""

GROUPS = ("s", "p", "f", "qs", "qp", "qf")
# The id, what it is linked to and since when, origins of cap uses, the digests of its last events, what bounds its
# consent, how far ahead of its arrival it was dated, and the version of what is remembered.
_TOLD_OTHERWISE = frozenset("iauloenwytgx")

_PURPOSES = {purpose.group.encode(): purpose for purpose in Purpose}
_times = msgspec.msgpack.Decoder(dict[str, tuple[int, ...]]).decode
_elsewhere = msgspec.msgpack.Decoder(dict[str, dict[str, tuple[int, ...]]]).decode
_aliases = msgspec.msgpack.Decoder(tuple[tuple[str, int], ...]).decode


def kept_of(reply: Sequence[Any]) -> Kept:
    """Return what is kept under one id; what cannot be read is kept as well."""
    now_ms, flat, digest_bytes, changes, changed, erased_ms, log_end, out_end, happened = reply[1:]
    held = {name.decode(errors="replace"): value for name, value in pairs(flat).items()}
    groups = {name: held[name] for name in GROUPS if name in held and _readable(held[name])}
    counters, elsewhere = _decoded(_times, held.get("k")), _decoded(_elsewhere, held.get("j"))
    aliases, consent = _decoded(_aliases, held.get("m")), consent_of(held.get("c"))
    refusals, promised = _decoded(refusals_of, held.get("z")), _decoded(promised_of, held.get("v"))
    reserved, last = _decoded(_reservations, held.get("r")), _decoded(contact_of, held.get("h"))
    told = {**groups, "k": counters, "j": elsewhere, "m": aliases, "c": consent}
    told |= {"z": refusals, "v": promised, "r": reserved, "h": last}
    return Kept(
        now_ms=now_ms,
        erased_ms=erased_ms or None,
        consent=consent,
        changes=tuple(filter(None, map(consent_of, changes))),
        groups=groups,
        counters=counters or {},
        elsewhere=tuple((origin, *use) for origin, uses in (elsewhere or {}).items() for use in uses.items()),
        origin=held.get("o", b"").decode(errors="replace"),
        aliases=aliases or (),
        alias_of=(held.get("a") or held.get("u", b"")[1:]).decode(errors="replace"),
        event_ids=(digest_bytes + len(held.get("e", b""))) // EVENT_DIGEST_BYTES,
        changed=bool(changed),
        log_end=log_end.decode(),
        out_end=out_end.decode(),
        remnants={name: value for name, value in held.items() if _is_remnant(name, value, told)},
        refusals=refusals or (),
        promised=promised or (),
        reserved=reserved or (),
        last=last,
        happened=happened_of(happened),
    )


def _is_remnant(name: str, value: bytes, told: Mapping[str, object]) -> bool:
    """Tell whether what is kept under a name is not told, or not all of it, for it cannot be read."""
    return name not in _TOLD_OTHERWISE and (told.get(name) is None or (name in GROUPS and _leaves_out(value)))


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return names and values that stand in a row."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def decision_of(at: str, fields: Mapping[bytes, bytes]) -> KeptDecision:
    """Return the decision of an entry of the log."""
    try:
        entry = unpack(fields[b"e"])
        committed = committed_of(fields[b"e"], b"", fields[b"c"], fields[b"b"], repeated=True)
    except (KeyError, msgspec.DecodeError, StoreUnreadable):
        return KeptDecision(_moment(at), None, None, fields.get(b"e", b""))
    return KeptDecision(_moment(at), entry, committed)


def outcome_of(at: str, fields: Mapping[bytes, bytes]) -> KeptOutcome:
    """Return the outcome of an entry of the stream of outcomes."""
    return KeptOutcome(
        decision_id=fields[b"d"].decode(),
        action=fields[b"a"].decode(),
        kind=int(fields[b"k"]),
        at_ms=int(fields[b"t"]),
        arrived_ms=_moment(at),
        amount=float(fields[b"m"]),
    )


def not_after(at: str, end: str) -> bool:
    """Tell whether one place in a stream comes no later than another."""
    return _place(at) <= _place(end)


def erased_of(customer: str, kept: Kept, counts: Counts) -> Erased:
    """Return what was removed: what stood in keys of the id's own, and what was counted elsewhere."""
    return Erased(
        identities=(customer,),
        erased_ms=kept.erased_ms or 0,
        fields=sum(len(unpacked(group)) for group in kept.groups.values()),
        consents=len(kept.changes) or int(kept.consent is not None),
        counters=len(kept.counters) + len(kept.elsewhere),
        event_ids=kept.event_ids,
        change_marks=int(kept.changed),
        decisions=counts["decisions"],
        repeatable=counts["repeatable"],
        outcomes=counts["outcomes"],
        outcome_records=counts["outcome_records"],
        links=len(kept.aliases),
        holds=counts["holds"],
        remembered=kept.remembered,
        happened=len(kept.happened),
        moments=counts["moments"],
    )


def happened_of(kept: Sequence[bytes]) -> tuple[Happened, ...]:
    """Return the events of a journey; what cannot be read is left out."""
    return tuple(filter(None, map(_happened, kept)))


def _happened(packed: bytes) -> Happened | None:
    try:
        at, arrived, kind = packed[1:].decode().split(" ", 2)
        return Happened(kind, _PURPOSES[packed[:1]], int(at), int(arrived))
    except (ValueError, KeyError):
        return None


def _readable(group: bytes) -> bool:
    try:
        unpacked(group)
    except ValueError:
        return False
    return True


def _leaves_out(group: bytes) -> bool:
    """Tell whether some state of a group cannot be read, though the others can."""
    return len({key for key, _, _ in cells(group)}) > len(unpacked(group))


def _decoded(decode: Any, packed: bytes | None) -> Any:  # noqa: ANN401 - of whatever type it decodes to
    try:
        return None if packed is None else decode(packed)
    except ValueError:  # of msgspec too
        return None


def _reservations(packed: bytes) -> tuple[KeptReservation, ...]:
    return tuple(
        KeptReservation(counter, one.at_ms, one.ends_ms, one.on, bytes.fromhex(one.mark))
        for counter, ones in reserved_of(packed).items()
        for one in ones
    )


def _moment(at: str) -> int:
    return _place(at)[0]


def _place(at: str) -> tuple[int, int]:
    moment, _, number = at.partition("-")
    return int(moment), int(number)

"""Read how a strategy explores, who is in a control group, and what is learned between trainings."""

from __future__ import annotations

from enum import StrEnum

from models.context import ContextSchema, ValueType
from models.records import Record
from models.shapes import Reference, Text
from service.core.exploration import Adaptive, Control, Exploration, Explores

MOST_EVEN = 0.5
MOST_CONTROL = 0.5
LEAST_TEMPERATURE = 1e-6
MOST_MONEY = 1e9
MOST_STRENGTH = 1e6
STRENGTH = 100.0
MOST_SEGMENTS = 64
LEAST_WITHIN_MS = 60_000
LONGEST_WITHIN_MS = 90 * 86_400_000
WITHIN_MS = 86_400_000
HALF_LIFE_MS = 30 * 86_400_000


class LearnedFrom(StrEnum):
    """The kinds of outcomes that propensities are about."""

    CLICKED = "clicked"
    ACCEPTED = "accepted"


_KINDS = {LearnedFrom.CLICKED: 2, LearnedFrom.ACCEPTED: 3}
"""The numbers of the public contract."""
_SALT = Text("write at most 64 letters", longest=64)


def read_exploration(record: Record | None, explore: float, adapts: bool) -> Exploration | None:
    """Return how the strategy draws; None where no document has the section `exploration`."""
    if record is None:
        return None
    policy = record.choice("policy", Explores)
    if policy is None:
        record.allow("rate", "temperature", "nothing")
        record.rest_is_refused()
        return None
    even = policy is Explores.EPSILON_GREEDY
    rate = record.number("rate", None if even else 0.0, 0.0, MOST_EVEN) if _takes(record, policy, "rate") else 0.0
    tempered = policy is Explores.SOFTMAX
    temperature = 0.0
    if tempered:
        temperature = record.number("temperature", None, LEAST_TEMPERATURE, MOST_MONEY)
    elif record.has("temperature"):
        record.refuse("`temperature` belongs to `policy: softmax`; remove it, or write that policy", "temperature")
    silence = record.flag("nothing", policy is not Explores.NONE)
    if explore:
        record.refuse("the section `strategy` has `explore`, which draws as well; remove it there")
    if policy is Explores.THOMPSON and not adapts:
        record.refuse("`thompson` draws by what is learned; write the section `adaptive` as well", "policy")
    record.rest_is_refused()
    return Exploration(policy, rate, temperature, silence)


def _takes(record: Record, policy: Explores, key: str) -> bool:
    if policy is not Explores.NONE:
        return True
    if record.has(key):
        record.refuse(f"`policy: none` draws nothing, so `{key}` says nothing; remove it", key)
    return False


def read_control(record: Record | None, name: str) -> Control | None:
    """Return the control groups; their salt is the strategy's name, unless another is written."""
    if record is None:
        return None
    before = len(record.problems)
    random = record.number("random", 0.0, 0.0, MOST_CONTROL)
    holdout = record.number("holdout", 0.0, 0.0, MOST_CONTROL)
    if random + holdout > MOST_CONTROL:
        record.refuse(f"`random` and `holdout` are more than {MOST_CONTROL} together; leave most people out of them")
    if not random and not holdout and len(record.problems) == before:
        record.refuse("nobody is in a control group; write a share, such as `random: 0.02` or `holdout: 0.05`")
    salt = record.text("salt", name or "tact", _SALT)
    record.rest_is_refused()
    return Control(random, holdout, salt)


def read_adaptive(record: Record | None, schema: ContextSchema, unread: tuple[str, ...]) -> Adaptive | None:
    """Return what is learned between trainings; None where no document has the section `adaptive`."""
    if record is None:
        return None
    on = record.choice("on", LearnedFrom) if record.has("on") else None
    within_ms = record.duration("within", WITHIN_MS)
    if not LEAST_WITHIN_MS <= within_ms <= LONGEST_WITHIN_MS:
        record.refuse("`within` is from 1m to 90d, how long decisions are looked after; write a time between", "within")
    half_life_ms = record.duration("half_life", HALF_LIFE_MS)
    if half_life_ms < within_ms:
        record.refuse("`half_life` is shorter than `within`, so nothing would be learned; write a longer one")
    strength = record.number("strength", STRENGTH, 1.0, MOST_STRENGTH)
    segment = _segment(record, schema, unread) if record.has("segment") else ""
    record.rest_is_refused()
    return Adaptive(_KINDS[on or LearnedFrom.ACCEPTED], within_ms, half_life_ms, strength, segment)


def _segment(record: Record, schema: ContextSchema, unread: tuple[str, ...]) -> str:
    """Return the field by whose values is counted apart: one of few values, which the store may hold without a name."""
    name = record.text("segment", None, Reference([*schema.index, *unread], "field"))
    if name not in schema.index or name in unread:
        return ""
    field = schema.fields[schema.index[name]]
    values = len(field.bounds.values or ()) if field.type is ValueType.STRING else 2
    few = field.type is ValueType.BOOL or (field.type is ValueType.STRING and field.bounds.values)
    if not few:
        record.refuse(f"`{name}` is no field of few values; name one of type bool, or string with `values`", "segment")
    elif values > MOST_SEGMENTS:
        record.refuse(f"`{name}` has {values} values; name a field of at most {MOST_SEGMENTS}", "segment")
    return name

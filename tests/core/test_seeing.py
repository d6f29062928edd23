"""Claims about what is seen: nothing stale passes as known, every age is told, and history sees what serving saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from models import folds, states
from models.context import Field, FoldKind, Scalar, Source
from models.history import as_of
from service.core.decision import Known, Request
from service.core.explained import FieldSeen
from service.core.loader import load_strategy
from service.core.snapshot import Sight
from service.core.strategy import Strategy
from tests.folding import DETERMINISTIC
from tests.strategies import SECTIONS, write_strategy

T = 1_790_000_000_000
HOUR_MS = 3_600_000
MAX_AGE_MS = 5 * HOUR_MS
EVENTS = """\
  - id: seen
    says: Anything with a value of every kind that folds take.
    attributes: {amount: double, word: string, zone: string}
  - {id: over, says: What was seen is over., attributes: {word: string}}
"""
DECLARED = {
    "last": "type: string, fold: {kind: last, event: seen, attribute: word}",
    "first": "type: string, fold: {kind: first, event: seen, attribute: word}",
    "count": "type: int, fold: {kind: count, event: seen}",
    "sum": "type: double, fold: {kind: sum, event: seen, attribute: amount}",
    "min": "type: double, fold: {kind: min, event: seen, attribute: amount}",
    "max": "type: double, fold: {kind: max, event: seen, attribute: amount}",
    "open": "type: int, fold: {kind: open, event: seen, attribute: word, closed_by: over, closed_key: word}",
    "distinct": "type: int, fold: {kind: distinct, event: seen, attribute: word}",
    "recent": "type: strings, fold: {kind: recent, event: seen, attribute: word, keep: 3}",
    "window_count": "type: int, fold: {kind: window_count, event: seen, window: 3h}",
    "window_sum": "type: double, fold: {kind: window_sum, event: seen, attribute: amount, window: 3h}",
    "rate": "type: double, fold: {kind: rate, event: seen, window: 3h, per: 1h}",
    "decay": "type: double, fold: {kind: decay, event: seen, attribute: amount, half_life: 2h}",
    "since": "type: double, fold: {kind: since, event: seen}",
    "model": "type: double, source: model",
}
"""A field of every kind; each stands in the strategy twice, with a maximum age and without."""
ZONES = ("Asia/Kathmandu", "Europe/Berlin", "Australia/Lord_Howe", "Nowhere", "")
MOMENTS = st.integers(0, 30).map(lambda n: T + n * HOUR_MS // 2)


def named(kind: str, end: str) -> str:
    """Return the id of one of the two fields of a kind; what models write is predicted."""
    return f"{'predicted' if kind == 'model' else 'past'}.{kind}{end}"


@cache
def strategy() -> Strategy:
    """Return the small strategy with a field of every kind, twice, and a clock."""
    purposes = ("service", "personalization", "profiling")
    fields = [
        f"  - {{id: {named(kind, end)}, says: A., purpose: {purposes[number % 3]}, {age}{what}}}\n"
        for number, (kind, what) in enumerate(DECLARED.items())
        for end, age in (("_fresh", "max_age: 5h, "), ("_ever", ""))
    ]
    fold = "{kind: last, event: seen, attribute: zone}"
    zone = f"  - {{id: past.zone, says: A., type: string, purpose: personalization, fold: {fold}}}\n"
    with TemporaryDirectory() as name:
        folder = write_strategy(
            Path(name), events=SECTIONS["events"] + EVENTS, fields=SECTIONS["fields"] + "".join([*fields, zone])
        )
        (folder / "time_zone.yaml").write_text("time_zone: {field: past.zone, default: America/New_York}\n")
        return load_strategy(folder)


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of the customer."""

    id: str
    type: str
    at_ms: int
    attributes: dict[str, Scalar]
    customer: str = "anna"


@st.composite
def histories(draw: st.DrawFn) -> list[Seen]:
    """Draw some events at half hours, in any order."""
    found: list[Seen] = []
    for number in range(draw(st.integers(1, 12))):
        what = draw(st.sampled_from(("seen", "seen", "seen", "over")))
        said: dict[str, Scalar] = {"word": draw(st.sampled_from("abc"))}
        if what == "seen":
            said |= {"amount": draw(st.sampled_from((0.1, 2.5, -1.0, 7.0))), "zone": draw(st.sampled_from(ZONES))}
        found.append(Seen(f"e{number}", what, draw(MOMENTS), said))
    return found


def known_from(events: Iterable[Seen], level: str | None = "full") -> Known:
    """Return what the store gives out after these events, and after a model wrote its scores with each of them."""
    schema = strategy().schema
    kept: dict[int, folds.State] = {}
    for event in events:
        scores = [written(field) for field in schema.fields if field.source is Source.MODEL]
        for operation in (*folds.operations(schema, event.type, event.attributes), *scores):
            kept[operation.key] = folds.apply(kept.get(operation.key), operation, event.at_ms)
    purposes = next((one.purposes for one in strategy().levels if one.id == level), strategy().levels[0].purposes)
    groups = {
        p.group: {f.key: kept[f.key] for f in schema.fields if f.purpose is p and f.key in kept} for p in purposes
    }
    return Known(T, level, (), {group: states.packed(own) for group, own in groups.items()}, {})


def written(field: Field) -> folds.Operation:
    """Return what a model's score does to a field."""
    return folds.Operation(field.key, field.purpose.group, FoldKind.MODEL, 0.5, version="churn@1")


def asked(now_ms: int) -> Request:
    """Return a question as of a moment."""
    return Request("anna", "web", ("hero",), {}, as_of_ms=now_ms)


def seen(known: Known, now_ms: int) -> dict[str, FieldSeen]:
    """Return every field as an explanation shows it."""
    sight = Sight(strategy())
    return {field.field: field for field in sight.fields_seen(sight.see(known, asked(now_ms)))}


def test_every_kind_of_fold_is_looked_at() -> None:
    """No kind of fold is left out of the claims below."""
    assert set(DECLARED) == {kind.value for kind in FoldKind}


@DETERMINISTIC
@given(histories(), MOMENTS)
def test_nothing_stale_passes_as_known(events: list[Seen], now_ms: int) -> None:
    """Of every kind, a value beyond its maximum age is unknown, and up to it the value is what it is without one."""
    found = seen(known_from(events), now_ms)
    for kind in DECLARED:
        fresh, ever = found[named(kind, "_fresh")], found[named(kind, "_ever")]
        stale = ever.age_ms is not None and ever.age_ms > MAX_AGE_MS
        assert fresh.value == (None if stale else ever.value), kind


@DETERMINISTIC
@given(histories(), MOMENTS)
def test_every_age_is_told_stale_or_not(events: list[Seen], now_ms: int) -> None:
    """A field's age is that of the event that dates it: the first for `first`, else the last one it heard of."""
    found = seen(known_from(events), now_ms)
    for kind in DECLARED:
        heard = [e.at_ms for e in events if e.type == "seen" or kind in ("open", "model")]
        dated = min(heard, default=None) if kind == "first" else max(heard, default=None)
        age = None if dated is None else now_ms - dated
        assert [found[named(kind, end)].age_ms for end in ("_fresh", "_ever")] == [age, age], kind
    assert found["present.hour"].age_ms is None


@DETERMINISTIC
@given(histories(), st.lists(MOMENTS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_history_sees_what_serving_saw(events: list[Seen], moments: list[int], dice: object) -> None:
    """For every field, the clock's too, the past as of a moment equals what serving saw with the events before it."""
    schema = strategy().schema
    told = [field.id for field in schema.fields if field.source is not Source.MODEL]
    shuffled = list(events)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random
    found = as_of(schema, told, shuffled, [("anna", moment) for moment in moments])
    for moment, values in zip(moments, found, strict=True):
        before = known_from(event for event in events if event.at_ms < moment)
        served = Sight(strategy()).see(before, asked(moment)).values
        for field, past, present in zip(schema.fields, values, served, strict=True):
            assert field.source is Source.MODEL or past == present, field.id


def hour_at(level: str | None) -> Scalar | None:
    """Return the hour at 12:00 UTC in January for a customer in Kathmandu (17:45), where New York (7:00) is default."""
    noon = 1_767_614_400_000  # 2026-01-05T12:00:00Z
    moved = Seen("e", "seen", noon - 1, {"word": "a", "amount": 1.0, "zone": "Asia/Kathmandu"})
    index = strategy().schema.index["present.hour"]
    return Sight(strategy()).see(known_from([moved], level), asked(noon)).values[index]


def test_the_clock_knows_no_more_than_the_consent_allows() -> None:
    """A zone that may not be read is not looked at: the default counts; without consent to service there is no hour."""
    assert [hour_at(level) for level in ("full", "personal", "service", "none", None)] == [17, 17, 7, None, None]


def test_what_is_kept_for_another_purpose_is_not_the_fields() -> None:
    """Whatever stands under a field's key for another purpose: value and age are those of the field's own."""
    schema = strategy().schema
    field = schema.fields[schema.index[named("open", "_ever")]]
    own, other = field.purpose.group, "f" if field.purpose.group != "f" else "s"
    mine = states.packed({field.key: [T - 2_000, {"z": [T - 2_000, 0]}]})
    theirs = states.packed({field.key: [T - 1_000, {"q": [T - 2_000, T - 1_000]}]})
    for groups in ({own: mine, other: theirs}, {other: theirs, own: mine}):
        told = seen(Known(T, "full", (), groups, {}), T)[field.id]
        assert (told.value, told.age_ms) == (1, 2_000)
    told = seen(Known(T, "full", (), {other: theirs}, {}), T)[field.id]
    assert (told.value, told.age_ms) == (None, None)


def test_a_score_kept_for_another_purpose_is_not_the_fields() -> None:
    """Its version is not told either."""
    schema = strategy().schema
    field = next(field for field in schema.fields if field.source is Source.MODEL)
    other = "f" if field.purpose.group != "f" else "s"
    group = states.packed({field.key: [T, 0.5, "churn@1"]})
    versions = [seen(Known(T, "full", (), {at: group}, {}), T)[field.id] for at in (field.purpose.group, other)]
    assert [told.version for told in versions] == ["churn@1", ""]

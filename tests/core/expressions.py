"""Random contexts and random well-typed conditions over them, for properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from models.context import Attribute, ContextSchema, Field, Purpose, Scalar, ValueType
from service.core.strategy import ActionAttribute

NOW_MS = 1_770_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def field(name: str, kind: ValueType, purpose: Purpose = Purpose.SERVICE) -> Field:
    """Declare a field that comes with the request, so that tests can set it to anything."""
    return Field(name, kind, purpose, name, None, None, Attribute(name, kind), abs(hash(name)) & 0xFFFF)


SCHEMA = ContextSchema.of(
    (),
    (
        field("past.open_tickets", ValueType.INT),
        field("past.purchases", ValueType.INT, Purpose.PERSONALIZATION),
        field("past.spend", ValueType.DOUBLE, Purpose.PERSONALIZATION),
        field("present.sentiment", ValueType.DOUBLE),
        field("past.tier", ValueType.STRING, Purpose.PERSONALIZATION),
        field("present.reason", ValueType.STRING),
        field("past.vulnerable", ValueType.BOOL),
        field("present.logged_in", ValueType.BOOL),
        field("past.last_seen", ValueType.TIMESTAMP),
        field("past.joined", ValueType.TIMESTAMP, Purpose.PROFILING),
        field("past.topics", ValueType.STRINGS, Purpose.PROFILING),
        field("present.basket", ValueType.STRINGS),
    ),
)

ATTRIBUTES = (
    ActionAttribute("price", ValueType.DOUBLE, ""),
    ActionAttribute("stock", ValueType.INT, ""),
    ActionAttribute("tier", ValueType.STRING, ""),
    ActionAttribute("labels", ValueType.STRINGS, ""),
    ActionAttribute("fresh", ValueType.BOOL, ""),
    ActionAttribute("until", ValueType.TIMESTAMP, ""),
)
"""What the actions of random strategies can say of themselves."""

WORDS = ("", "gold", "silver", "billing", "a'b", "\\", "ü", "ab", "z" * 5)
INTS = st.sampled_from([0, 1, 2, 3, -1, -7, 10**6, 2**53, 2**63 - 1, -(2**63)]) | st.integers(-5, 5)
DOUBLES = st.sampled_from([0.0, 1.0, -1.5, 0.1, 1e308, -1e308, 1e-300]) | st.floats(-10, 10, allow_nan=False)
MOMENTS = st.integers(NOW_MS - 10**10, NOW_MS + 10**7) | st.sampled_from([0, -2_208_988_800_000, 4_102_444_800_000])

_VALUES: dict[ValueType, st.SearchStrategy[Scalar]] = {
    ValueType.INT: INTS,
    ValueType.DOUBLE: DOUBLES,
    ValueType.STRING: st.sampled_from(WORDS),
    ValueType.BOOL: st.booleans(),
    ValueType.TIMESTAMP: MOMENTS,
    ValueType.STRINGS: st.lists(st.sampled_from(WORDS), max_size=3).map(tuple),
}


def contexts(schema: ContextSchema = SCHEMA) -> st.SearchStrategy[tuple[Scalar | None, ...]]:
    """Snapshots' values in schema order, about a third of them unknown."""
    return st.tuples(*(st.one_of(st.none(), _VALUES[f.type], _VALUES[f.type]) for f in schema.fields))


def quoted(word: str) -> str:
    """Spell a text as a CEL literal."""
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _names(kind: ValueType) -> st.SearchStrategy[str]:
    return st.sampled_from([f.id for f in SCHEMA.fields if f.type is kind])


def _binary(signs: str, left: st.SearchStrategy[str], right: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda a, sign, b: f"({a} {sign} {b})", left, st.sampled_from(signs.split()), right)


_literal_ints = st.integers(-9, 9).map(str) | st.sampled_from(["9223372036854775807", "1000000"])
INT_TERMS = st.recursive(
    _names(ValueType.INT) | _literal_ints,
    lambda inner: st.one_of(
        _binary("+ - * / %", inner, inner),
        inner.map(lambda a: f"(-({a}))"),
        st.builds(lambda w: f"size({w})", _names(ValueType.STRING) | _names(ValueType.STRINGS)),
    ),
    max_leaves=4,
)
DOUBLE_TERMS = st.recursive(
    _names(ValueType.DOUBLE) | st.sampled_from(["0.0", "1.5", "-2.25", "1e10", "0.1"]),
    lambda inner: st.one_of(
        _binary("+ - * /", inner, inner), inner.map(lambda a: f"(-({a}))"), INT_TERMS.map(lambda a: f"double({a})")
    ),
    max_leaves=4,
)
TEXT_TERMS = st.one_of(_names(ValueType.STRING), st.sampled_from(WORDS).map(quoted)) | _binary(
    "+", _names(ValueType.STRING), st.sampled_from(WORDS).map(quoted)
)
LIST_TERMS = _names(ValueType.STRINGS) | st.lists(TEXT_TERMS, min_size=1, max_size=3).map(
    lambda items: "[" + ", ".join(items) + "]"
)
SPAN_LITERALS = st.sampled_from(["duration('24h')", "duration('1h30m')", "duration('-5s')", "duration('250ms')"])
TIME_TERMS = _names(ValueType.TIMESTAMP) | st.sampled_from(["now", "timestamp('2026-01-31T12:00:00Z')"])
TIME_TERMS = TIME_TERMS | _binary("+ -", TIME_TERMS, SPAN_LITERALS)
SPAN_TERMS = SPAN_LITERALS | _binary("-", TIME_TERMS, TIME_TERMS) | _binary("+ -", SPAN_LITERALS, SPAN_LITERALS)

_tests_of_text = st.sampled_from(["startsWith", "endsWith", "contains"])
_ordered = "== != < <= > >="
_atoms = st.one_of(
    _binary(_ordered, INT_TERMS, INT_TERMS),
    _binary(_ordered, DOUBLE_TERMS, DOUBLE_TERMS),
    _binary(_ordered, TEXT_TERMS, TEXT_TERMS),
    _binary(_ordered, TIME_TERMS, TIME_TERMS),
    _binary(_ordered, SPAN_TERMS, SPAN_TERMS),
    _binary("in", TEXT_TERMS, LIST_TERMS),
    _binary("== !=", _names(ValueType.STRINGS), LIST_TERMS),
    st.builds(
        lambda a, f, b: f"({a}).{f}({b})",
        TEXT_TERMS,
        st.sampled_from(["startsWith", "endsWith", "contains"]),
        TEXT_TERMS,
    ),
    st.builds(lambda a, b: f"{a}.startsWith({b})", _names(ValueType.STRING), TEXT_TERMS),
    _names(ValueType.BOOL),
    st.sampled_from(["true", "false"]),
)


def _connected(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            _binary("&& ||", inner, inner),
            inner.map(lambda a: f"!({a})"),
            st.builds(lambda c, a, b: f"({c} ? {a} : {b})", inner, inner, inner),
        ),
        max_leaves=6,
    )


CONDITIONS = _connected(_atoms)
"""Well-typed conditions over `SCHEMA` that use all of Tact's part of CEL."""

_amounts = st.sampled_from(["action.price", "action.value", "action.cost"])
_texts = st.sampled_from(["action.tier", "action.group", "action.kind", "action.id"])
_lists = st.sampled_from(["action.labels", "action.tags", "action.intents"])
_about_actions = st.one_of(
    _binary(_ordered, _amounts, DOUBLE_TERMS),
    _binary(_ordered, DOUBLE_TERMS, _amounts),
    _binary(_ordered, st.just("action.stock"), INT_TERMS),
    _binary(_ordered, _texts, TEXT_TERMS),
    _binary(_ordered, TIME_TERMS, st.just("action.until")),
    _binary("in", _texts, LIST_TERMS),
    _binary("in", TEXT_TERMS, _lists),
    _binary("== !=", _lists, LIST_TERMS),
    _binary(_ordered, _binary("+ - * /", _amounts, DOUBLE_TERMS), DOUBLE_TERMS),
    st.builds(lambda a, b: f"{a}.startsWith({b})", _texts, TEXT_TERMS),
    st.just("action.fresh"),
)
ACTION_CONDITIONS = _connected(_about_actions | _about_actions | _atoms)
"""The same over what actions say of themselves, too, which is what `ATTRIBUTES` declares and what every action has."""

attribute_values = st.fixed_dictionaries({}, optional={one.name: _VALUES[one.type] for one in ATTRIBUTES})
"""What an action says of itself, by name; it lacks some."""


def activation(values: tuple[Scalar | None, ...]) -> dict[str, object]:
    """Return what the CEL engine calls an activation: known values by field id, moments as datetimes, and `now`."""
    data: dict[str, object] = {"now": _moment(NOW_MS)}
    for declared, value in zip(SCHEMA.fields, values, strict=True):
        if value is not None:
            data[declared.id] = native(declared.type, value)
    return data


def native(kind: ValueType, value: Scalar) -> object:
    """Return a value as the CEL engine takes it."""
    if kind is ValueType.TIMESTAMP and isinstance(value, int):
        return _moment(value)
    return list(value) if isinstance(value, tuple) else value


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)

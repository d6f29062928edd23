"""Claims about the feature space: one encoding, the same in training and in serving."""

from __future__ import annotations

import doctest
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import features, folds
from models.context import Attribute, ContextSchema, Field, Fold, FoldKind, Purpose, Scalar, ValueType
from models.features import LIMIT, FeatureRefused, FeatureSpace
from models.history import as_of
from models.schema import load_context
from tests.strategies import write_strategy

DAY_MS = 86_400_000
NOW = 1_800_000_000_000
TIERS = ("basic", "silver", "gold")


def declared(name: str, kind: ValueType, values: tuple[str, ...] = (), fold: Fold | None = None) -> Field:
    """Return a field as a strategy would declare it."""
    return Field(name, kind, Purpose.SERVICE, "", fold, None, Attribute(name, kind, values=values), 0)


FIELDS = (
    declared("past.visits", ValueType.INT),
    declared(
        "past.spend", ValueType.DOUBLE, fold=Fold(FoldKind.WINDOW_SUM, "purchase", "amount", window_ms=7 * DAY_MS)
    ),
    declared("past.member", ValueType.BOOL),
    declared("past.tier", ValueType.STRING, TIERS),
    declared("past.joined", ValueType.TIMESTAMP),
    declared("past.products", ValueType.STRINGS),
    declared("past.note", ValueType.STRING),
)
SCHEMA = ContextSchema.of((), FIELDS)
USABLE = tuple(field.id for field in FIELDS[:5])
SPACE = FeatureSpace.of(SCHEMA, USABLE)


def encoded(**known: Scalar | None) -> dict[str, float]:
    """Encode a context in which only these fields are known; return the columns by name."""
    values = [known.get(field.id.partition(".")[2]) for field in FIELDS]
    return dict(zip(SPACE.columns, SPACE.encode(values, NOW).tolist(), strict=True))


def ones(row: dict[str, float]) -> set[str]:
    """Return the columns that are not zero."""
    return {column for column, value in row.items() if value}


def test_the_example_in_the_documentation_runs() -> None:
    """What the class documentation shows is what happens."""
    result = doctest.testmod(features)
    assert result.attempted >= 5
    assert result.failed == 0


def test_what_is_known_stands_in_its_columns() -> None:
    """Numbers and truths stand as they are, a text in the column of its value, a moment as its age in days."""
    row = encoded(visits=3, spend=-1.5, member=True, tier="gold", joined=NOW - 36 * 3_600_000)
    assert row == {
        "past.visits": 3.0,
        "past.visits?": 0.0,
        "past.spend": -1.5,
        "past.spend?": 0.0,
        "past.member": 1.0,
        "past.member?": 0.0,
        "past.tier=basic": 0.0,
        "past.tier=silver": 0.0,
        "past.tier=gold": 1.0,
        "past.tier?": 0.0,
        "past.joined:days": 1.5,
        "past.joined?": 0.0,
    }


def test_a_zero_is_not_an_unknown() -> None:
    """Zero, false and this very moment are knowledge: no unknown flag is raised."""
    assert ones(encoded(visits=0, spend=0.0, member=False, tier="basic", joined=NOW)) == {"past.tier=basic"}


def test_nothing_known_raises_every_flag_and_nothing_else() -> None:
    """A customer of whom nothing is known has a 1 in every unknown column and zeros elsewhere."""
    assert ones(encoded()) == {f"{name}?" for name in USABLE}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, LIMIT, -LIMIT, 10**400])
def test_a_number_that_no_model_can_use_is_unknown(number: float) -> None:
    """NaN, infinities and numbers beyond the limit count as unknown, so that a score stays a number."""
    assert encoded(spend=number) == encoded()


@pytest.mark.parametrize("text", ["platinum", "", "GOLD", 3])
def test_a_text_that_is_not_declared_is_unknown(text: str) -> None:
    """A model never saw a text outside the declared values, so it counts as unknown."""
    assert encoded(tier=text) == encoded()


def test_every_row_stands_alone() -> None:
    """Encoding one customer never changes the row of another that was encoded before."""
    first = SPACE.encode([3, 2.0, True, "gold", NOW, None, None], NOW)
    before = first.copy()
    SPACE.encode([None] * len(FIELDS), NOW)
    assert first.dtype == np.float64
    assert (first == before).all()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["past.unheard_of"], "not a declared field"),
        (["past.products"], "list of texts"),
        (["past.note"], "without declared values"),
        (["past.tier", "past.visits", "past.tier"], "twice"),
    ],
)
def test_a_field_that_cannot_be_a_feature_is_refused_by_name(wanted: Sequence[str], words: str) -> None:
    """Unknown fields, lists, texts without declared values and repeats are refused in words that name the field."""
    with pytest.raises(FeatureRefused, match=words) as refused:
        FeatureSpace.of(SCHEMA, wanted)
    assert wanted[0] in str(refused.value)


def changed(field_id: str, **changes: object) -> str:
    """Return the hash of the feature space after a field is declared otherwise."""
    fields = tuple(replace(f, **changes) if f.id == field_id else f for f in FIELDS)  # type: ignore[arg-type]
    return FeatureSpace.of(ContextSchema.of((), fields), USABLE).hash


def test_another_meaning_gives_another_hash() -> None:
    """A model is not used where order, type, declared values, fold or maximum age of a feature are others."""
    window = FIELDS[1].fold
    assert window is not None
    tiers = replace(FIELDS[3].bounds, values=TIERS[::-1])
    hashes = {
        SPACE.hash,
        FeatureSpace.of(SCHEMA, USABLE[::-1]).hash,
        FeatureSpace.of(SCHEMA, USABLE[1:]).hash,
        changed("past.visits", type=ValueType.DOUBLE),
        changed("past.visits", max_age_ms=DAY_MS),
        changed("past.tier", bounds=tiers),
        changed("past.spend", fold=replace(window, window_ms=30 * DAY_MS)),
        changed("past.spend", fold=replace(window, where=(("category", "phone"),))),
    }
    assert len(hashes) == 8


def test_the_same_meaning_gives_the_same_hash() -> None:
    """Words, store keys, purposes, other fields and their order in the strategy do not invalidate a model."""
    assert changed("past.visits", says="How often they came.", key=7, purpose=Purpose.PROFILING) == SPACE.hash
    assert FeatureSpace.of(ContextSchema.of((), FIELDS[::-1]), USABLE).hash == SPACE.hash


def test_serving_does_without_scikit_learn() -> None:
    """Features, scores and artefacts are read without importing scikit-learn, skops or scipy."""
    code = (
        "import sys, models.features, models.propensity, models.artifacts;"
        "print([m for m in sys.modules if m.split('.')[0] in ('sklearn', 'skops', 'scipy', 'joblib')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------- training and serving, same row


@dataclass(frozen=True)
class Happened:
    """One event of one customer."""

    id: str
    customer: str
    type: str
    at_ms: int
    attributes: dict[str, Scalar]


@pytest.fixture(scope="module")
def telecom(tmp_path_factory: pytest.TempPathFactory) -> ContextSchema:
    """Return the context declarations of the small telecom strategy."""
    return load_context(write_strategy(tmp_path_factory.mktemp("strategy") / "small"))


def any_event(schema: ContextSchema, number: int, rng: random.Random) -> Happened:
    """Return a random event that the strategy declares, within the last hundred days or a little after now."""
    event = rng.choice(sorted(schema.events))
    attributes = {a.name: any_value(a, rng) for a in schema.events[event].attributes if rng.random() < 0.8}
    return Happened(str(number), "ada", event, NOW + rng.randint(-100 * 24, 48) * 3_600_000, attributes)


def any_value(attribute: Attribute, rng: random.Random) -> Scalar:
    """Return a random value of an attribute."""
    if attribute.values:
        return rng.choice(attribute.values)
    values: dict[ValueType, Scalar] = {
        ValueType.BOOL: rng.random() < 0.5,
        ValueType.INT: rng.randint(0, 10),
        ValueType.DOUBLE: round(rng.uniform(0, 100), 3),
        ValueType.STRING: rng.choice("abc"),
        ValueType.TIMESTAMP: NOW - rng.randint(0, 10**10),
        ValueType.STRINGS: (rng.choice("abc"),),
    }
    return values[attribute.type]


def served(schema: ContextSchema, arrived: Sequence[Happened]) -> list[Scalar | None]:
    """Return the snapshot of a customer whose events arrived one by one and were packed in between, as in the store."""
    states: dict[int, folds.State] = {}
    for event in arrived:
        for operation in folds.operations(schema, event.type, event.attributes):
            state = folds.apply(states.get(operation.key), operation, event.at_ms)
            states[operation.key] = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    return [folds.known(field, states.get(field.key), NOW) if field.fold else None for field in schema.fields]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_training_and_serving_see_the_same_row(telecom: ContextSchema, seed: int) -> None:
    """Whatever happened in whatever order it arrived, the row learned from is the row that is scored."""
    rng = random.Random(seed)
    events = [any_event(telecom, number, rng) for number in range(rng.randint(0, 30))]
    wanted = [f.id for f in telecom.fields if f.fold and f.type is not ValueType.STRINGS and usable(f)]
    space = FeatureSpace.of(telecom, wanted)
    arrived = [event for event in events if event.at_ms < NOW]
    rng.shuffle(arrived)
    learned = space.encode(as_of(telecom, wanted, events, [("ada", NOW)])[0], NOW)
    scored = space.encode(served(telecom, arrived), NOW)
    np.testing.assert_allclose(scored, learned, rtol=1e-12, atol=0)  # a decayed sum is not associative


def usable(field: Field) -> bool:
    """Say whether a model can see the field."""
    return field.type is not ValueType.STRING or bool(field.bounds.values)

"""Claims about the kernel: the compiled one and its twin in Python give the same bytes, and both give the truth."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import kernel, kernel_build, kernel_plainly, states
from models.context import Attribute, ContextSchema, Field, Fold, FoldKind, Purpose, ValueType
from models.features import FeatureSpace
from models.looking import looked_at

ROOT = Path(__file__).parents[2]
NOW = 1_790_000_000_000
NO_COMPILER = shutil.which("cc") is None
compiled_only = pytest.mark.skipif(
    NO_COMPILER and not kernel.COMPILED, reason="there is no C compiler here, so only the twin is in use"
)
KINDS = (
    (FoldKind.LAST, ValueType.INT), (FoldKind.LAST, ValueType.DOUBLE), (FoldKind.LAST, ValueType.STRING),
    (FoldKind.LAST, ValueType.BOOL), (FoldKind.MAX, ValueType.TIMESTAMP), (FoldKind.COUNT, ValueType.INT),
    (FoldKind.SUM, ValueType.DOUBLE), (FoldKind.OPEN, ValueType.INT), (FoldKind.DISTINCT, ValueType.INT),
    (FoldKind.RECENT, ValueType.STRINGS), (FoldKind.WINDOW_COUNT, ValueType.INT),
    (FoldKind.WINDOW_SUM, ValueType.DOUBLE), (FoldKind.RATE, ValueType.DOUBLE), (FoldKind.DECAY, ValueType.DOUBLE),
    (FoldKind.SINCE, ValueType.DOUBLE), (FoldKind.MODEL, ValueType.DOUBLE),
)  # fmt: skip


def declared(index: int, kind: FoldKind, type_: ValueType) -> Field:
    """Return a field that folds in this way; every other one grows stale after a day."""
    fold = Fold(kind, "e", "a", window_ms=500_000, half_life_ms=40_000, keep=4, per_ms=1_000)
    bounds = Attribute(f"f{index}", type_, values=("a", "b") if type_ is ValueType.STRING else ())
    return Field(f"past.f{index}", type_, Purpose.SERVICE, "", fold, 86_400_000 if index % 2 else None, bounds, index)


FIELDS = tuple(declared(place, *kind) for place, kind in enumerate((*KINDS, *KINDS)))
SCHEMA = ContextSchema.of((), FIELDS)
LOOKED = looked_at(SCHEMA, Purpose.SERVICE)
SPACE = FeatureSpace.of(SCHEMA, [field.id for field in FIELDS if field.type is not ValueType.STRINGS])


@compiled_only
def test_where_there_is_a_compiler_the_kernel_is_compiled() -> None:
    """An installation on a machine with a compiler serves with the compiled kernel."""
    assert kernel.COMPILED


def wholes() -> st.SearchStrategy[int]:
    """Draw whole numbers, mostly those that times and counts are."""
    return st.one_of(st.integers(-3, 3), st.integers(-600_000, 600_000), st.integers(-(2**63), 2**64 - 1))


def kepts() -> st.SearchStrategy[Any]:
    """Draw what is kept of a state: plain values, tagged lists of every fold, and what no fold keeps."""
    plain = st.one_of(wholes(), st.floats(), st.booleans(), st.text(max_size=4), st.none())
    pairs = st.lists(st.tuples(wholes(), wholes()), max_size=6)
    tagged = st.builds(lambda tag, rest: [tag, *[x for pair in rest for x in pair]], st.integers(0, 7), pairs)
    opens = st.lists(st.tuples(st.text(max_size=2), st.integers(-1, 9), st.integers(-1, 9)), max_size=4)
    opened = opens.map(lambda items: [4, *[x for item in items for x in item]])
    decays = pairs.map(lambda items: [5, 40_000, *[x for item in items for x in item]])
    windows = st.lists(st.tuples(st.integers(-9, 700_000), st.integers(-9, 10**12)), max_size=6)
    window = windows.map(lambda items: [1, *[x for item in items for x in item]])
    return st.one_of(
        plain, tagged, opened, decays, window, st.just([0]), st.just([6, 0.5, "m@1"]), st.lists(plain, max_size=3)
    )


def packed(item: object) -> bytes:
    """Pack a value as the store does: a number of single precision as four bytes."""
    if isinstance(item, float) and (not math.isfinite(item) or abs(item) < 1e30):
        single = struct.pack(">f", item)
        if struct.unpack(">f", single)[0] == item:
            return b"\xca" + single
    return states._encode(item)


@st.composite
def groups(draw: st.DrawFn) -> bytes:
    """Draw a group of states, well formed but for what is kept; now and then with some bytes spoiled."""
    keys = draw(st.lists(st.integers(0, len(FIELDS) + 2), unique=True, max_size=12))
    dates = draw(st.lists(st.integers(NOW - 2 * 86_400_000, NOW + 5_000), min_size=1, max_size=3, unique=True))
    dates.sort()
    table = [part for i, t in enumerate(dates) for part in (t - (dates[i - 1] if i else 0), 0)]
    places = [draw(st.integers(0, len(dates) - 1)) for _ in keys]
    kept = [draw(kepts()) for _ in keys]
    head = b"".join(n.to_bytes(2) for n in (len(keys), *keys)) + bytes(places)
    found = head + b"\xdc" + (len(kept) + 1).to_bytes(2) + b"".join(map(packed, [table, *kept]))
    if draw(st.integers(0, 9)) == 0:
        at, byte = draw(st.integers(0, len(found) - 1)), draw(st.integers(0, 255))
        found = found[:at] + bytes([byte]) + found[at + 1 :]
    return found[: draw(st.integers(0, len(found)))] if draw(st.integers(0, 19)) == 0 else found


def same(one: object, other: object) -> bool:
    """Tell whether two values are the same one, of the same type, to the last bit."""
    if isinstance(one, float) and isinstance(other, float):
        return one.hex() == other.hex()
    return type(one) is type(other) and one == other


@compiled_only
@settings(max_examples=int(os.environ.get("TACT_KERNEL_CASES", "80")), deadline=None)
@given(group=groups())
def test_both_read_the_same_from_what_is_kept(group: bytes) -> None:
    """Of any bytes both kernels read the same values of the same types, unknown ones included."""
    blank: list[Any] = ["untouched"] * len(FIELDS)
    one, other = list(blank), list(blank)
    kernel.filler(LOOKED)(one, group, NOW)
    kernel_plainly.Looks(LOOKED).fill(other, group, NOW)
    assert all(map(same, one, other)), (one, other)


@compiled_only
def test_the_common_ways_of_keeping_are_read_by_the_compiled_kernel_itself() -> None:
    """A customer as the store keeps them is not left to the twin; text beyond ASCII is."""
    now = NOW - 1_000
    known: dict[int, list[Any]] = {
        0: [now, 3], 1: [now, 2.5], 2: [now, "a"], 3: [now, True], 5: [now, 7], 6: [now, 2_500_000],
        7: [now, {"k": [now, 0]}], 8: [now, {"x": now}], 10: [now, [[now, 1_000_000]]], 14: [now],
    }  # fmt: skip
    swiftly = kernel._compiled.Looks(tuple(map(kernel._row, LOOKED))).fill
    values: list[Any] = [None] * len(FIELDS)
    assert swiftly(values, states.packed(known), NOW)
    assert values[:4] == [3, 2.5, "a", True]
    assert values[5:9] == [7, 2.5, 1, 1]
    assert values[14] == pytest.approx(1_000 / 86_400_000)
    assert not swiftly(values, states.packed({2: [now, "é"]}), NOW)
    single = b"\x00\x01\x00\x01\x00" + b"\x92\x92\xcf" + now.to_bytes(8) + b"\x00" + packed(75.5)
    assert swiftly(values, single, NOW)
    assert values[1] == 75.5


def hung(rng: np.random.Generator, columns: int, models: int) -> tuple[Any, ...]:
    """Return the arrays of two random forests of stumps and deeper trees, hung on some of the models."""
    whole = np.int64
    feature = np.array(
        [rng.integers(columns), rng.integers(columns), 0, 0, 0, rng.integers(columns), 0, 0], dtype=whole
    )
    child = np.array([1, 3, 2, 3, 4, 6, 6, 7], dtype=whole)
    threshold = np.where(child > np.arange(8), rng.normal(size=8), 1e100)
    roots, first = np.array([0, 5, 5], dtype=whole), np.array([0, 1], dtype=whole)
    rows = rng.permutation(models)[: min(2, models)].astype(whole)
    forest = rng.integers(0, 2, len(rows)).astype(whole)
    return (feature, threshold, child, rng.normal(size=8), roots, first, rows, forest, rng.normal(size=len(rows)))


def worlds(rng: np.random.Generator, actions: int, baselines: bool, trees: bool) -> tuple[Any, ...]:
    """Return what `kernel.scoring` takes after the space."""
    models = actions * (1 + baselines)
    weights = rng.normal(size=(len(SPACE.columns), models)) * 10.0 ** rng.integers(-3, 3)
    anyways = rng.normal(size=actions) if baselines else None
    hangs = hung(rng, len(SPACE.columns), models) if trees else None
    return (
        weights,
        rng.normal(size=models),
        hangs,
        *[rng.normal(size=actions)],
        anyways,
        *rng.normal(size=(2, actions)),
    )


def values_of(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return values of the schema, each in five unknown, and some too large."""
    drawn: dict[ValueType, Callable[[], Any]] = {
        ValueType.INT: lambda: int(rng.integers(-5, 9)), ValueType.BOOL: lambda: bool(rng.integers(2)),
        ValueType.DOUBLE: lambda: float(rng.normal() * 10.0 ** rng.integers(-3, 15)),
        ValueType.STRING: lambda: ("a", "b", "c")[rng.integers(3)],
        ValueType.TIMESTAMP: lambda: NOW - int(rng.integers(-(10**9), 10**12)) * int(rng.choice([1, 10**8])),
        ValueType.STRINGS: lambda: ("x",),
    }  # fmt: skip
    return tuple(None if rng.random() < 0.2 else drawn[field.type]() for field in FIELDS)


@compiled_only
@settings(max_examples=int(os.environ.get("TACT_KERNEL_CASES", "60")), deadline=None)
@given(seed=st.integers(0, 2**32), actions=st.integers(1, 40), baselines=st.booleans(), trees=st.booleans())
def test_both_score_to_the_same_bits(seed: int, actions: int, baselines: bool, trees: bool) -> None:
    """Columns, propensities, net values and what is worth saying are the same bytes, weights and trees included."""
    rng = np.random.default_rng(seed)
    weights, bias, hangs, gains, anyways, constant, cost = worlds(rng, actions, baselines, trees)
    values, factors = values_of(rng), list(rng.normal(size=(seed % 3, actions)))
    swiftly = kernel.scoring(SPACE, weights, bias, hangs, gains, anyways, constant, cost)
    logistic = kernel_plainly.Logistic(weights, bias, hangs)
    plainly = kernel_plainly.Scoring(SPACE.encode, logistic, gains, anyways, constant, cost)
    found = []
    for one in (swiftly, plainly):
        x, lean, net = np.full(len(SPACE.columns), 9.0), np.empty(len(bias)), np.empty(actions)
        bits = one.score(values, NOW, factors, x, lean, net)
        found.append((bits, x.tobytes(), lean.tobytes(), net.tobytes()))
    assert found[0] == found[1]


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 90), most=st.integers(0, 40), levels=st.integers(1, 60))
def test_the_best_are_those_of_a_sort(seed: int, size: int, most: int, levels: int) -> None:
    """Both return the highest values of a mask in order, with all that equal the last, and tell of ties."""
    rng = np.random.default_rng(seed)
    net = rng.integers(0, levels, size).astype(float)
    net[rng.random(size) < 0.05] = np.nan
    chosen = [i for i in range(size) if rng.random() < 0.6]
    mask = sum(1 << i for i in chosen).to_bytes((size + 7) // 8, "little")
    value = [-math.inf if math.isnan(v) else v for v in net.tolist()]
    order = sorted(chosen, key=lambda i: (-value[i], i))
    kept = order[:most] + [i for i in order[most:] if most and value[i] == value[order[most - 1]]]
    tied = len({value[i] for i in kept}) < len(kept)
    assert kernel_plainly.best(net, mask, most) == (kept, tied)
    assert kernel.best(net, mask, most) == (kept, tied)


def test_the_logistic_function_is_true_to_the_last_digits() -> None:
    """Over the whole range, and at its ends, tanh differs from that of the C library by less than 4e-16."""
    y = np.concatenate((np.linspace(-25.0, 25.0, 20_001), [0.0, 1e300, -1e300, math.inf, -math.inf, 1e-300]))
    assert np.abs(kernel_plainly.tanh(y) - np.array([math.tanh(v) for v in y])).max() < 4e-16
    assert kernel_plainly.tanh(np.array([-400.0, 0.0, 400.0])).tolist() == [-1.0, 0.0, 1.0]
    assert np.isnan(kernel_plainly.tanh(np.array([math.nan]))).all()


def test_models_of_other_columns_are_refused_when_they_are_asked() -> None:
    """A model that was made for other columns says so; it never reads beyond its own."""
    one = np.zeros(1)
    misfit = kernel.scoring(SPACE, np.zeros((3, 1)), one, None, one, None, one, one)
    with pytest.raises(ValueError, match="other columns"):
        misfit.score((None,) * len(FIELDS), NOW, [], None, np.empty(1), np.empty(1))


@compiled_only
@pytest.mark.parametrize(
    "spoil",
    [
        lambda trees: trees[0].__setitem__(0, 10**6),  # a column that is not there
        lambda trees: trees[2].__setitem__(5, 0),  # a child before its parent
        lambda trees: trees[4].__setitem__(0, 99),  # a tree that begins nowhere
        lambda trees: trees[6].__setitem__(0, -1),  # a model that is not there
    ],
)
def test_trees_that_cannot_be_walked_are_refused(spoil: Callable[[tuple[Any, ...]], None]) -> None:
    """The compiled kernel never trusts an array: what would lead outside is refused before it is walked."""
    rng = np.random.default_rng(1)
    weights, bias, hangs, *rest = worlds(rng, 3, True, True)
    spoil(hangs)
    with pytest.raises(ValueError, match="cannot be walked"):
        kernel.scoring(SPACE, weights, bias, hangs, *rest)


@compiled_only
def test_too_few_values_and_wrong_room_are_refused() -> None:
    """Values of another schema and arrays of another size raise, and nothing is read or written beyond them."""
    rng = np.random.default_rng(2)
    scoring = kernel.scoring(SPACE, *worlds(rng, 3, False, False))
    with pytest.raises(IndexError):
        scoring.score((None,), NOW, [], None, np.empty(3), np.empty(3))
    with pytest.raises(ValueError, match="bytes"):
        scoring.score((None,) * len(FIELDS), NOW, [], None, np.empty(2), np.empty(3))


@compiled_only
def test_candidates_are_refused_where_two_are_equal_and_where_leans_are_missing() -> None:
    """The kernel makes candidates of the pool first, leaves ties to the arbiter, and never reads beyond the leans."""
    ranker = kernel.ranker(lambda *told: told, ("a", "b", "c"), (True, True, False), (True, False, False),  # type: ignore[arg-type]
                           (0.1, 0.2, 0.3), 0.25)  # fmt: skip
    assert ranker is not None
    lean, net = np.array([0.5, -0.5, 0.0, 0.25]), np.array([1.0, 3.0, 2.0])
    liked = ranker.candidates(lean, net, b"\x05", b"\x02", 3, True)
    assert liked == (
        ("c", 0.3, None, 2.0, 0.875, True, None, False),
        ("a", 0.75, 0.625, 1.0, 0.125, True, None, False),
        ("b", 0.25, None, 3.0, 0.0, False, None, False),
    )
    alone = ranker.candidates(lean, net, b"\x02", b"\x00", 2, False)
    assert alone == (("b", 0.25, None, 3.0, 1.0, False, None, False),)
    assert ranker.candidates(lean, np.array([1.0, 2.0, 2.0]), b"\x07", b"\x00", 1, False) is None
    assert ranker.candidates(lean, net, b"\x07", b"\x00", 17, False) is None
    with pytest.raises(IndexError, match="leans"):
        ranker.candidates(np.zeros(3), net, b"\x01", b"\x00", 1, False)
    with pytest.raises(ValueError, match="bytes"):
        ranker.candidates(lean, np.zeros(2), b"\x01", b"\x00", 1, False)


def test_the_setting_takes_the_twin() -> None:
    """With TACT_KERNEL=python nothing compiled is loaded."""
    said = "from models import kernel; import sys; print(kernel.COMPILED, 'models._kernel' in sys.modules)"
    env = {**os.environ, "TACT_KERNEL": "python"}
    ran = subprocess.run([sys.executable, "-c", said], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


@compiled_only
def test_compiling_works_and_says_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build gives a module that can be imported; without a compiler, or with bad source, it says why in words.

    What cannot be compiled takes nothing else along, and nothing older stays in its place.
    """
    (tmp_path / "models").mkdir()
    shutil.copy(ROOT / "models" / "_kernel.c", tmp_path / "models")
    assert kernel_build.compile_all(tmp_path, ["models/_kernel.c"]) == ""
    made = tmp_path / kernel_build.compiled_name("models/_kernel.c")
    spec = importlib.util.spec_from_file_location("_kernel", made)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.best(np.array([1.0, 3.0, 2.0]), b"\x07", 2) == ([1, 2], False)
    (tmp_path / "bad.c").write_text("int this is no C")
    made.unlink()
    older = tmp_path / kernel_build.compiled_name("bad.c")
    older.touch()
    assert "error" in kernel_build.compile_all(tmp_path, ["bad.c", "models/_kernel.c"])
    assert made.exists()
    assert not older.exists()
    monkeypatch.setenv("PATH", "")
    found = {"CC": "no-such-compiler", "EXT_SUFFIX": ".so"}
    monkeypatch.setattr(sysconfig, "get_config_var", found.get)
    assert "no C compiler" in kernel_build.compile_all(tmp_path, ["bad.c"])

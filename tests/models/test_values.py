"""Claims about models of worth: what serves is what was learned, within bounds; what does not fit is refused."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import values
from models.artifacts import VALUES, ArtifactRefused, load_folded, read_artifact
from models.features import LIMIT
from models.propensity import Floats
from models.values import Values, arrays_of_values
from tests.models.forgery import ACTIONS, SPACE, artifact, npz, restamp


def random_values(seed: int, actions: int = 4, columns: int = 3) -> Values:
    """Return random models of worth."""
    rng = np.random.default_rng(seed)
    least = -rng.random(actions)
    names = tuple(f"a{i}" for i in range(actions))
    return Values(names, rng.normal(size=(actions, columns)), rng.normal(size=actions), least, least + 2.0)


def test_the_example_in_the_documentation_runs() -> None:
    """What the class documentation shows is what happens."""
    result = doctest.testmod(values)
    assert result.attempted >= 3
    assert result.failed == 0


@settings(deadline=None)
@given(
    st.integers(0, 1000), st.permutations(["a0", "a1", "a2", "a3", "b"]),
    st.lists(st.floats(-LIMIT, LIMIT), min_size=3, max_size=3),
)  # fmt: skip
def test_one_row_at_a_time_gives_what_many_rows_give(seed: int, order: list[str], row: list[float]) -> None:
    """In whatever order a strategy has its actions, each gets its own worth times lever, less cost; others stay."""
    models, x = random_values(seed), np.array(row)
    rounding = 1e-14 * float(np.abs(x).sum() + 1.0)
    levers, costs, net = np.array([1.0, 2.0, 0.5, 0.0, 3.0]), np.array([0.1, 0.0, 0.2, 0.3, 0.4]), np.full(5, 7.0)
    worths = models.aligned(order, levers, costs)
    served = worths.over(net, x)
    assert worths.known.tolist() == [name != "b" for name in order]
    for place, name in enumerate(order):
        if name == "b":
            assert served[place] == 7.0
        else:
            learned = models.of(x[np.newaxis])[0, int(name[1])]
            assert served[place] == pytest.approx(learned * levers[place] - costs[place], abs=1e-9 + rounding)


def test_where_all_are_known_nothing_of_the_formula_is_left() -> None:
    """With a model of every action no net value is the formula's."""
    models = random_values(1)
    served = models.aligned(models.actions, np.ones(4), np.zeros(4)).over(np.full(4, 1e9), np.zeros(3))
    np.testing.assert_allclose(served, np.clip(models.bias, models.least, models.most))


def with_values(folder: Path, changes: Mapping[str, Floats] = MappingProxyType({})) -> Path:
    """Return an honest artefact with models of worth of two actions, one of them without any other model."""
    valued = "fibre", "news"
    models = Values(valued, np.ones((2, len(SPACE.columns))), np.zeros(2), np.full(2, -1.0), np.full(2, 1.0))
    artifact(folder)
    (folder / VALUES).write_bytes(npz(**(arrays_of_values(models) | dict(changes))))
    restamp(folder, format=2, valued=valued)
    return folder


def test_models_of_worth_are_read_back(tmp_path: Path) -> None:
    """What is written is what serves, also of actions that no other model knows."""
    folded = load_folded(with_values(tmp_path / "m"), SPACE)
    assert folded.values is not None
    assert folded.values.actions == ("fibre", "news")
    assert folded.knows == {*ACTIONS, "news"}
    np.testing.assert_array_equal(folded.values.weights, np.ones((2, len(SPACE.columns))))
    assert load_folded(artifact(tmp_path / "none"), SPACE).values is None


REFUSED: dict[str, tuple[dict[str, Floats], str]] = {
    "NaN": ({"weights": np.full((2, 2), np.nan)}, "not finite"),
    "endless": ({"most": np.full(2, np.inf)}, "not finite"),
    "too steep": ({"weights": np.full((2, 2), 1e200)}, "not finite"),
    "another shape": ({"bias": np.zeros(3)}, "another shape"),
    "another kind": ({"bias": np.zeros(2).view(np.int64)}, "another shape or kind"),
    "one array too many": ({"more": np.zeros(2)}, "must hold exactly"),
    "bounds turned over": ({"least": np.full(2, 2.0)}, "least worth is more than its most"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    """Arrays that are no models of worth never serve, stamped as they may be."""
    changes, words = REFUSED[name]
    with pytest.raises(ArtifactRefused, match=words):
        read_artifact(with_values(tmp_path / "m", changes))


@pytest.mark.parametrize("valued", [(), ("fibre", "fibre")], ids=["of nobody", "of one twice"])
def test_a_manifest_that_names_them_wrong_is_refused(valued: tuple[str, ...], tmp_path: Path) -> None:
    """Models of worth are of actions that the manifest names, each once."""
    folder = with_values(tmp_path / "m")
    restamp(folder, valued=valued)
    if not valued:
        (folder / VALUES).write_bytes(
            npz(weights=np.zeros((0, 2)), **{n: np.zeros(0) for n in ("bias", "least", "most")})
        )
        restamp(folder)
    with pytest.raises(ArtifactRefused, match="of no action, or of one twice"):
        read_artifact(folder)

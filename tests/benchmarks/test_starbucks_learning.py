"""Learning from the public Starbucks month keeps what is promised of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.starbucks_learning import ALONE, WITH_EVENTS, Found
from benchmarks.starbucks_log import STRATEGY, Month, read_month
from benchmarks.starbucks_report import write
from benchmarks.starbucks_value import (
    PROPENSITY,
    SERVED,
    WITHDRAWN,
    Arms,
    Broken,
    Completions,
    check_arms,
    check_completed,
    completed,
    valued,
)
from models.propensity import Folded
from models.values import RanksBy
from service.core.arbitrate import Arbiter
from service.core.loader import load_strategy
from tests.worlds.conftest import with_data
from tests.worlds.recompute import data_folder
from training.offpolicy.estimates import Verdict
from training.uplift.metrics import UpliftMetrics
from training.uplift.worth import uplift


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    """Return the month as logged decisions."""
    return read_month(data_folder(), tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def tested(month: Month) -> Completions:
    """Return how well it is told who completes, by profile and events."""
    with threadpool_limits(1):
        return completed(month)


@pytest.fixture(scope="module")
def value(month: Month, tested: Completions) -> tuple[list[Arms], UpliftMetrics]:
    """Return what policies are worth; trees, which do not serve, are left to the whole run."""
    with threadpool_limits(1):
        return valued(month, tested.learning, trees=False)


@with_data
def test_who_completes_an_offer_is_told(tested: Completions) -> None:
    """Learned on the waves of hours 0 and 168: on those of 408 and 504 AUC at least .87, calibration error .03."""
    check_completed(tested)
    assert tested.all.rows == 20_447
    assert set(tested.offers) == {offer for offer in tested.offers if offer.startswith(("bogo", "discount"))}
    assert len(tested.offers) == 8


@with_data
@pytest.mark.parametrize("title", WITHDRAWN)
def test_net_worth_earns_what_is_promised(title: str, value: tuple[list[Arms], UpliftMetrics]) -> None:
    """What serves earns at least 1.9 $ a decision over doing nothing, and .6 $ without the two best discounts."""
    arms = next(one for one in value[0] if one.title == title)
    check_arms(arms)
    assert arms.over_nothing(SERVED).verdict is Verdict.BETTER


@with_data
def test_propensity_alone_is_a_bad_adviser(value: tuple[list[Arms], UpliftMetrics]) -> None:
    """Without the two best discounts the propensity ranking loses against doing nothing, where net worth earns."""
    arms = value[0][1]
    assert arms.over_nothing(PROPENSITY).verdict is Verdict.WORSE
    over_propensity = arms.evaluated.difference(SERVED, PROPENSITY)
    assert over_propensity is not None
    assert over_propensity.low > 1.0


@with_data
def test_no_learner_is_called_better_than_the_best_single_offer(value: tuple[list[Arms], UpliftMetrics]) -> None:
    """The data do not say that any learner beats the best offer for everyone, and so the report does not."""
    for arms in value[0]:
        assert arms.claim() == f"No learner is better than {arms.single} for everyone, as far as these data tell."


@with_data
def test_the_ranking_finds_those_who_gain(value: tuple[list[Arms], UpliftMetrics]) -> None:
    """Those said to gain most gain more than the others: the interval of the Qini coefficient lies above 0."""
    assert value[1].qini.low > 0.0
    assert value[1].at(0.1).low > value[1].overall.value


@with_data
def test_what_serves_ranks_as_what_was_valued(month: Month) -> None:
    """The service's net values of real members are the learned worths, less the contact cost."""
    strategy = load_strategy(STRATEGY)
    assert strategy.ranks_by is RanksBy.UPLIFT
    learned = uplift(month.waves((0, 168)), blinds=month.blinds())
    none, rows = np.zeros(0), np.zeros((0, len(month.decisions.columns)))
    folded = Folded("m@0", "", (), rows, none, rows, none, np.zeros(0, dtype=np.bool_), values=learned.values())
    worths = Arbiter(strategy, folded)._worths
    assert worths is not None
    late = month.waves((408,)).part(slice(0, 200))
    expected = learned.of(late.x)
    for row, told in zip(late.x, expected, strict=True):
        net = worths.over(np.zeros(len(strategy.actions)), row)
        for action in strategy.actions:
            if action.id in learned.strengths:
                assert net[action.index] == pytest.approx(told[late.actions.index(action.id)] - action.cost, abs=1e-9)


@with_data
def test_the_page_says_it_all(tested: Completions, value: tuple[list[Arms], UpliftMetrics], tmp_path: Path) -> None:
    """The page shows completions, every arm beside the best single offer, the claim, and who gains."""
    found = Found({ALONE: tested, WITH_EVENTS: tested}, *value)
    write(tmp_path / "page.html", found.tested, found.arms, found.ranked)
    page = (tmp_path / "page.html").read_text()
    for words in (*(one.claim() for one in found.arms), PROPENSITY, "Whether those said to gain most do"):
        assert words in page
    found.check()
    assert found.plain()["arms"].keys() == set(WITHDRAWN)


def test_a_broken_promise_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the data do not carry what was promised, the run ends with words instead of a success."""
    from benchmarks import starbucks_value
    from training.metrics import Scores, measured

    rng = np.random.default_rng(0)
    scores = Scores(rng.random(100), (rng.random(100) < 0.5).astype(float), np.full(100, 0.5))
    monkeypatch.setattr(starbucks_value, "MOST_ERROR", 1.0)
    with pytest.raises(Broken, match=r"AUC is at least 0\.87"):
        check_completed(Completions(None, scores, measured(scores), {}))  # type: ignore[arg-type]  # nothing was learned

"""Claims about learning uplift: it finds what saying something changes, and claims nothing where the log is silent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.decisions import Floats
from training.fitting import Blind
from training.uplift.learners import Contrast, Fitted, Learner
from training.uplift.policies import best, likeliest
from training.uplift.ridges import STRENGTHS, path, ridges, strength_of
from training.uplift.serving import NOT_VALUED, trial_on_latest, valued
from training.uplift.sums import PARTS, Sums, in_parts, part_of
from training.uplift.worth import outcome, uplift

from .world import ACTIONS, changed, log, truth

LEARNERS = list(Learner)


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_it_finds_whom_an_action_changes(learner: Learner) -> None:
    """On a log made by chance every learner finds the true uplift, where what happens anyway is far larger."""
    found, fresh = uplift(log(6000, 1), learner), log(500, 2)
    missed = found.of(fresh.x) - truth(fresh.x)
    assert np.abs(missed[:, 1]).mean() < 0.25
    assert np.abs(missed[:, 1]).max() < 1.0
    assert not found.left_out


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_it_is_not_misled_by_whom_the_log_preferred(learner: Learner) -> None:
    """A log that gave the gift to those who visit anyway is still read right, for its probabilities are known."""
    found, fresh = uplift(log(6000, 3, skewed=True), learner), log(500, 4)
    assert np.abs(found.of(fresh.x)[:, 1] - truth(fresh.x)[:, 1]).mean() < 0.3


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_sleeping_dogs_are_left_alone(learner: Learner) -> None:
    """An action that loses with everybody is said to nobody, and where the gift does not pay nothing is said."""
    fresh = log(2000, 5)
    policy = best(uplift(log(6000, 6), learner).of(fresh.x), fresh.allowed)
    assert policy[:, 2].mean() < 0.002
    pays = truth(fresh.x)[:, 1]
    assert policy[pays > 0.5, 1].all()
    assert policy[pays < -0.5, 0].all()


def test_where_nothing_changes_nothing_is_found() -> None:
    """Where saying it changes nobody by anything that could be seen, the penalty leaves next to nothing but noise."""
    rows = log(4000, 7)
    still = changed(rows, worth=3.0 * rows.x[:, 0] + np.random.default_rng(0).standard_normal(len(rows)))
    found = uplift(still).of(rows.x)[:, 1:]
    assert np.abs(found).mean() < 0.1
    assert found.std() < 0.1


def test_equal_logs_give_equal_models_and_the_order_of_rows_matters_not() -> None:
    """Learning is repeatable to the last bit, and to rounding where the rows come in another order."""
    rows, blinds = log(2000, 8), (Blind((0,), (2,)),)
    once, again = (uplift(rows, blinds=blinds, seed=5) for _ in range(2))
    assert once.weights.tobytes() == again.weights.tobytes()
    assert once.bias.tobytes() == again.bias.tobytes()
    shuffled = uplift(rows.part(np.random.default_rng(1).permutation(len(rows))))
    np.testing.assert_allclose(shuffled.weights, uplift(rows).weights, atol=1e-9)


def test_what_is_not_in_the_log_is_left_out_in_words() -> None:
    """An action that was hardly said, and one that was never an alternative to nothing, get no model and a reason."""
    rows = log(2000, 9)
    few = rows.part((rows.action != 2) | (np.arange(len(rows)) < 50))
    found = uplift(few)
    assert list(found.left_out) == ["nagging"]
    assert found.left_out["nagging"].endswith("rows said it; 100 are needed to tell what it earns over nothing")
    assert np.isnan(found.of(rows.x)[:, 2]).all()
    assert found.values().actions == ("gift",)  # type: ignore[union-attr]  # of the gift there is one
    spoken = uplift(rows.part(rows.action > 0))
    assert all("0 rows said nothing where it might have been" in why for why in spoken.left_out.values())
    assert spoken.values() is None


def test_rows_of_unknown_worth_teach_nothing_wrong() -> None:
    """A decision whose worth is not known yet counts for nothing, whatever else is known of it."""
    rows = log(3000, 10)
    unknown = np.random.default_rng(2).random(len(rows)) < 0.2
    holes = changed(rows, worth=np.where(unknown, np.nan, rows.worth))
    found = uplift(holes, Learner.TWO_MODELS)
    np.testing.assert_allclose(found.weights, uplift(rows.part(~unknown), Learner.TWO_MODELS).weights, atol=5e-3)
    assert np.isfinite(uplift(holes).weights).all()


def test_the_outcome_can_be_learned_as_well_as_the_worth() -> None:
    """How much likelier its outcome gets is learned by the same learners: the gift works on those who visit."""
    fresh = log(400, 11)
    found = uplift(log(8000, 12), target=outcome).of(fresh.x)[:, 1]
    likelier = 1.0 / (1.0 + np.exp(-fresh.x[:, :2].sum(axis=1))) - 1.0 / (1.0 + np.exp(-fresh.x[:, 0]))
    assert np.corrcoef(found, likelier)[0, 1] > 0.9
    assert np.abs(found).max() < 1.0


def test_nothing_is_claimed_beyond_what_was_learned_from() -> None:
    """For a customer unlike any in the log the worth is held within what the log saw, and so it is when serving."""
    rows = log(2000, 13)
    found = uplift(rows)
    strange = np.array([[1e12, -1e12, 0.0], [-1e12, 1e12, 1.0]])
    seen = found.of(rows.x)
    assert (found.of(strange)[:, 1:] <= seen[:, 1:].max(axis=0) + 1e-9).all()
    assert (found.of(strange)[:, 1:] >= seen[:, 1:].min(axis=0) - 1e-9).all()
    np.testing.assert_array_equal(found.values().of(strange), found.of(strange)[:, 1:])  # type: ignore[union-attr]


def test_a_column_that_never_varies_has_no_weight() -> None:
    """What is the same for everybody in the log tells nothing, also when it varies later."""
    found = uplift(log(2000, 14))
    assert not found.weights[:, 2].any()


def test_a_ridge_from_sums_is_the_ridge() -> None:
    """The regression from sums alone is the one that solves the penalised least squares of the rows."""
    rng = np.random.default_rng(15)
    x, y = rng.standard_normal((200, 3)) + 5.0, rng.standard_normal(200)
    for strength, line in zip(STRENGTHS, ridges(Sums.of(x, y)), strict=True):
        centred = x - x.mean(axis=0)
        expected = np.linalg.solve(centred.T @ centred + strength * np.eye(3), centred.T @ (y - y.mean()))
        np.testing.assert_allclose(line.weights, expected, atol=1e-9)
        assert line.of(x).mean() == pytest.approx(y.mean())
        assert Sums.of(x, y).error(line) == pytest.approx(float(((y - line.of(x)) ** 2).sum()))


def test_parts_are_of_whole_customers_and_add_up() -> None:
    """All rows of a customer are in one part, no part is left empty, and the parts together are all rows."""
    customer = np.repeat(np.arange(500), 3)
    part = part_of(customer)
    assert (part.reshape(-1, 3) == part[::3, np.newaxis]).all()
    assert set(part.tolist()) == set(range(PARTS))
    x = np.random.default_rng(16).standard_normal((1500, 2))
    parts = in_parts(x, x[:, 0], part)
    assert sum(one.rows for one in parts) == 1500
    np.testing.assert_allclose(sum(one.xx for one in parts), x.T @ x)


def test_of_strengths_that_serve_alike_the_strongest_is_taken() -> None:
    """Where two strengths cannot be told apart by their errors, the one that claims less is taken."""
    errors = np.full((PARTS, 3), 1.0)
    errors[:, 1] += np.where(np.arange(PARTS) % 2, 0.1, -0.099)
    errors[:, 2] += 5.0
    assert strength_of([errors]) == 1
    assert strength_of([errors[:, [2, 1, 0]]]) == 2


def test_a_policy_of_nothing_but_unknown_worth_says_nothing() -> None:
    """What has no model is never said, neither by worth nor by likelihood, and what is not allowed neither."""
    worth = np.array([[0.0, np.nan, 2.0], [0.0, 1.0, np.nan], [0.0, np.nan, np.nan]])
    allowed = np.array([[True, True, False], [True, True, True], [True, True, True]])
    assert best(worth, allowed).argmax(axis=1).tolist() == [0, 1, 0]
    assert likeliest(worth, allowed).argmax(axis=1).tolist() == [0, 1, 0]


def test_what_serves_is_judged_on_the_latest_rows() -> None:
    """A version's models of worth come with their strengths, what is left out, and figures on rows not learned from."""
    rows = log(3000, 17)
    found = valued(rows, seed=1)
    assert found.actions == ACTIONS[1:]
    assert found.told["worth"]["learner"] == "mean"
    assert found.metrics["uplift"]["qini"] > 0.0
    assert (
        found.metrics["uplift"]["qini_low"] <= found.metrics["uplift"]["qini"] <= found.metrics["uplift"]["qini_high"]
    )
    quiet = valued(rows.part(rows.action == 0))
    assert (quiet.values, quiet.actions) == (None, ())
    assert "rows were told it" in quiet.metrics["uplift"]["refused"]
    assert NOT_VALUED.actions == ()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), part=st.integers(0, PARTS - 1))
def test_customers_are_told_by_models_that_never_saw_them(seed: int, part: int) -> None:
    """Whatever came of the customers of a part, models without them say the same of them; other models do not."""
    rng = np.random.default_rng(seed)
    x, y, of = rng.standard_normal((200, 2)), rng.standard_normal(200), np.arange(200) % PARTS
    own, every = of == part, np.ones(200, dtype=np.bool_)

    def unseen(outcomes: Floats) -> Floats:
        contrast = Contrast(x, outcomes, every, ~every, np.ones(200), of)
        return Fitted([path(contrast.sums(every))], 0).unseen(0, contrast)

    plain, other = unseen(y), unseen(np.where(own, 10.0 - y, y))
    np.testing.assert_allclose(other[own], plain[own], atol=1e-9)
    assert (np.abs(other[~own] - plain[~own]) > 1e-6).any()


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_judge_of_worth_is_not_its_teacher(seed: int) -> None:
    """Whatever the latest fifth earned, and what was not known before it, people are sorted by the same scores."""
    rows = log(1500, seed)
    after = np.arange(len(rows)) > 1200 - 100
    other = changed(rows, worth=np.where(after, -rows.worth, rows.worth))
    one, two = (trial_on_latest(told, (), 0, None, 100_000) for told in (rows, other))  # the window of a hundred rows
    np.testing.assert_array_equal(one.score, two.score)
    assert (one.y != two.y).any()
    assert trial_on_latest(rows, (), 0, None, 10**9).lack()


def test_what_an_action_costs_is_taken_off_before_it_is_chosen_and_judged() -> None:
    """A gift that costs more than it earns gives way to the other action, and what is judged is less its cost."""
    rows = log(4000, 21)
    late = rows.part(slice(3200, None))
    plain, dear, both = (
        trial_on_latest(rows, (), 0, np.array([0.0, *costs])) for costs in ((0.0, 0.0), (30.0, 0.0), (30.0, 30.0))
    )
    assert (plain.score > 0.5).any()
    assert dear.told.sum() == (late.action == 2).sum()
    np.testing.assert_allclose(both.score, plain.score - 30.0)
    np.testing.assert_allclose(both.y, plain.y - 30.0 * plain.told)


def test_the_doubly_robust_one_needs_only_one_of_both_to_be_right() -> None:
    """Where no line fits what happens anyway and the log preferred some, known probabilities still tell the uplift."""
    rows = log(20000, 18, skewed=True)
    bent = changed(rows, worth=rows.worth - truth(rows.x)[np.arange(len(rows)), rows.action] + 3.0 * rows.x[:, 1] ** 2)
    doubly, plainly = (
        np.abs(uplift(bent, learner).of(rows.x)[:, 1]).mean() for learner in (Learner.DOUBLY_ROBUST, Learner.TWO_MODELS)
    )
    assert plainly > 0.5, "two lines that both miss are no difference"
    assert doubly < 0.25

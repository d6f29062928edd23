"""What is learned from the Starbucks month: who completes an offer, and what it pays to send to whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.starbucks_log import LEARNED_FROM, TESTED_ON, VALUED_ON, Month, without
from training.decisions import Decisions
from training.learning.learn import Learning, Plan, learn
from training.learning.platt import probability
from training.metrics import Metrics, Scores, joined, measured
from training.offpolicy.estimates import Estimate, Method, Verdict
from training.offpolicy.evaluation import Evaluated, evaluate
from training.uplift.boosting import boosted_uplift
from training.uplift.learners import Learner
from training.uplift.metrics import UpliftMetrics, trial_of_best
from training.uplift.metrics import measured as measured_uplift
from training.uplift.policies import best, certain, likeliest
from training.uplift.worth import uplift

Floats = npt.NDArray[np.float64]

LEAST_AUC, MOST_ERROR = 0.87, 0.03
WITHDRAWN = {
    "all ten offers": ((), 1.9),
    "without discount-2-on-10-in-10-days and discount-3-on-7-in-7-days": (
        ("discount-2-on-10-in-10-days", "discount-3-on-7-in-7-days"),
        0.6,
    ),
    "without discount-2-on-10-in-10-days and discount-2-on-10-in-7-days": (
        ("discount-2-on-10-in-10-days", "discount-2-on-10-in-7-days"),
        0.6,
    ),
}
"""What is withdrawn, and what the learner that serves, the mean of all, must earn a decision over nothing."""
SERVED, PROPENSITY, NOTHING = str(Learner.MEAN), "propensity ranking", "nothing"


class Broken(Exception):
    """Something that was promised does not hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Completions:
    """How well it is told who completes an offer: of all offers together, and by offer."""

    learning: Learning
    scores: Scores
    all: Metrics
    offers: dict[str, Metrics]


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """What policies are worth over nothing while some offers are withdrawn; `single` names the best single offer."""

    title: str
    least: float
    evaluated: Evaluated
    policies: tuple[str, ...]
    single: str

    def over_nothing(self, name: str) -> Estimate:
        """Return what a policy earns a decision over doing nothing."""
        return _known(self.evaluated.difference(name, NOTHING))

    def over_single(self, name: str) -> Estimate:
        """Return what a policy earns a decision over the best single offer for everyone."""
        return _known(self.evaluated.difference(name, self.single))

    def claim(self) -> str:
        """Say whether any learner beats the best single offer, as far as the intervals say so."""
        better = [name for name in self.policies if self.over_single(name).verdict is Verdict.BETTER]
        if better:
            return f"Better than {self.single} for everyone: {', '.join(better)}."
        return f"No learner is better than {self.single} for everyone, as far as these data tell."


def completed(month: Month) -> Completions:
    """Learn who completes an offer, from all rows of the first waves, and test it on later ones."""
    past, late = (month.waves(hours) for hours in (LEARNED_FROM, TESTED_ON))
    learning = learn(past, Plan(month.groups, month.blinds(), judged=False))
    found = {action: _forecast(learning, late, action, _rate(past, action)) for action in sorted(learning.said)}
    scores = joined(list(found.values()))
    return Completions(learning, scores, measured(scores), {action: measured(one) for action, one in found.items()})


def _rate(decisions: Decisions, action: str) -> float:
    code = decisions.actions.index(action)
    return float(np.nanmean(decisions.happened[decisions.action == code, code]))


def _forecast(learning: Learning, late: Decisions, action: str, rate: float) -> Scores:
    code = late.actions.index(action)
    rows = (late.action == code) & ~np.isnan(late.happened[:, code])
    outcome = late.happened[rows, code]
    return Scores(_chances(learning, late.x[rows], action, code), outcome, np.full(len(outcome), rate))


def _chances(learning: Learning, x: Floats, action: str, code: int) -> Floats:
    model = learning.said[action]
    return probability(model.platt.logits(model.fit.logits(x, code)))


def chances(learning: Learning, decisions: Decisions) -> Floats:
    """Return how likely every offer is completed when it is sent, (n, actions); NaN where that cannot be."""
    found = np.full((len(decisions), len(decisions.actions)), np.nan)
    for action in learning.said:
        code = decisions.actions.index(action)
        found[:, code] = _chances(learning, decisions.x, action, code)
    return found


def valued(month: Month, learning: Learning | None = None, *, trees: bool = True) -> tuple[list[Arms], UpliftMetrics]:
    """Value whom learners of uplift would send what, and how well the one that serves ranks those who gain.

    With what was learned of completions, ranking by that alone is shown beside.
    """
    past, late = (month.waves(hours) for hours in (LEARNED_FROM, VALUED_ON))
    dark = month.blinds()
    worths = {str(learner): uplift(past, learner, blinds=dark).of(late.x) for learner in Learner}
    if trees:
        worths["boosted single model"] = boosted_uplift(past, late.x)
    likely = chances(learning, late) if learning else None
    found = [_arms(title, late, worths, likely) for title in WITHDRAWN]
    return found, measured_uplift(trial_of_best(late, worths[SERVED], late.worth))


def _arms(title: str, late: Decisions, worths: dict[str, Floats], likely: Floats | None) -> Arms:
    withdrawn, least = WITHDRAWN[title]
    may = without(late, withdrawn)
    policies = {name: best(worth, may) for name, worth in worths.items()}
    if likely is not None:
        policies[PROPENSITY] = likeliest(likely, may)
    singles = {late.actions[code]: _always(late, code) for code in np.flatnonzero(may.all(axis=0)).tolist()}
    evaluated = evaluate(late, policies | singles)
    single = max(singles, key=lambda name: evaluated.arm(name).values[Method.DR].value)
    return Arms(title, least, evaluated, tuple(policies), single)


def _always(decisions: Decisions, code: int) -> Floats:
    return certain(np.full(len(decisions), code, dtype=np.intp), len(decisions.actions))


def _known(estimate: Estimate | None) -> Estimate:
    if estimate is None:
        raise Broken("a policy is refused on a log that says everything with a known probability")
    return estimate


def check_completed(tested: Completions) -> None:
    """See that completions are told as well as promised."""
    _promised(tested.all.auc is not None and tested.all.auc >= LEAST_AUC, f"AUC is at least {LEAST_AUC}")
    _promised(tested.all.calibration_error <= MOST_ERROR, f"the calibration error is at most {MOST_ERROR}")


def check_arms(arms: Arms) -> None:
    """See that what serves earns as much as promised over doing nothing, and more than the propensity ranking."""
    found = arms.over_nothing(SERVED)
    _promised(found.value >= arms.least, f"{SERVED} earns {arms.least} $ a decision, {arms.title}: {found.value:.2f}")


def _promised(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)

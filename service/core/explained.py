"""What is told of how a decision came about: frozen values, no behaviour. `depths.py` says how much of it to whom."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from models.context import ContextSchema, Purpose, Scalar

if TYPE_CHECKING:  # decisions hold explanations
    from service.core.counterfactual import Counterfactual
    from service.core.decision import Committed, Decision, Reason
    from service.core.depths import Depths
    from service.core.plan import Entry


class Depth(IntEnum):
    """How deep something is explained, and so to whom; the numbers are those of the public contract."""

    CUSTOMER = 1
    AGENT = 2
    AUDITOR = 3


class Stage(IntEnum):
    """The stages of a decision, in their order; the numbers are those of the public contract."""

    TREATED = 1
    JUDGED = 2
    CAPPED = 3
    SCORED = 4
    RANKED = 5
    CHECKED = 6
    SAID = 7


class Logged(Struct, frozen=True):
    """A decision as it was logged: its entry, and what the commit took of it."""

    entry: Entry
    committed: Committed


class Explained(Struct, frozen=True):
    """A decision that was made, with everything that can be told of it, before it is told to anybody.

    `decision` is what was answered, in words of now; its explanation is unset where it is `incomplete`, which says why.
    `schema` is that of the strategy of then. `lost` are the purposes that its consent level allowed and the consent of
    now does not. `depths` know what may be told, by the strategy of then and by that in force. `would` is what would
    have changed it, where that was asked.
    """

    decision: Decision
    channel: str
    schema: ContextSchema
    depths: tuple[Depths, ...]
    lost: frozenset[Purpose]
    incomplete: str = ""
    would: Counterfactual | None = None


class Passed(Struct, frozen=True):
    """How far an action came at one placement: the last stage that it passed, None for none.

    `beaten_by` is the action that was said there instead; empty where this one was, or fell before it was compared.
    """

    placement: str
    stage: Stage | None
    beaten_by: str = ""


class Binding(Struct, frozen=True):
    """What bound at one placement (its index) as a decision was recorded: which actions (a mask), and until when (ms).

    `frees_ms` is unset where only people end it, `reason` where it is not known whether there would have been enough.
    """

    place: int
    mask: int
    reason: Reason | None
    frees_ms: int | None

    def holds(self, now_ms: int) -> bool:
        """Tell whether it still binds at a moment."""
        return self.frees_ms is None or now_ms < self.frees_ms


class Compared(Struct, frozen=True):
    """One comparison of a condition, with what stood on both sides; None is unknown.

    `names` are the fields that it reads, and what it reads of the action, such as `action.price`. `kind` is the type of
    both sides in CEL, empty for `bound` where there is but one side.
    """

    expression: str
    names: tuple[str, ...]
    observed: Scalar | None
    observed_kind: str
    bound: Scalar | None
    bound_kind: str
    holds: bool | None


class RuleSeen(Struct, frozen=True):
    """A rule with a condition that holds an action back: whether the condition holds for it, and the comparisons that
    made it so. `fields` are all that the condition reads.
    """

    rule: str
    condition: str
    fields: tuple[str, ...]
    holds: bool | None
    comparisons: tuple[Compared, ...]


class CapSeen(Struct, frozen=True):
    """A cap that counts an action at a placement: its uses within the window, and when it frees where it is used up."""

    rule: str
    placement: str
    uses: int
    at_most: int
    within_ms: int
    daily: bool
    frees_ms: int | None


class WeightSeen(Struct, frozen=True):
    """A weight that counted, and the fields of its condition."""

    rule: str
    factor: float
    fields: tuple[str, ...] = ()


class ScoreSeen(Struct, frozen=True):
    """What a net value is made of, as `arbitrate.Arbiter` says; `factor` corrects the propensity by what was learned
    between trainings, None where nothing is. `learned` says that the net value itself was learned from what it earned.
    """

    propensity: float
    modelled: bool
    baseline: float | None
    value: float
    reward: float
    cost: float
    lever: float
    weights: tuple[WeightSeen, ...]
    factor: float | None
    learned: bool
    net_value: float


class Fate(Struct, frozen=True):
    """What became of one action: everything that forbids it, and its scores where it was scored.

    The rest is told where more than the fate is asked for: how far it came at each placement, the rules and caps that
    had a part in it, and what its net value is made of.
    """

    action: str
    vetoes: tuple[Reason, ...]
    propensity: float | None
    baseline: float | None
    net_value: float | None
    placements: tuple[Passed, ...] = ()
    checks: tuple[RuleSeen, ...] = ()
    caps: tuple[CapSeen, ...] = ()
    score: ScoreSeen | None = None


class Fit(Struct, frozen=True):
    """A rule by which what was said was permitted: the `fields` that it reads, and those that were `known` and made it.

    Of a rule that holds either way, or by what was unknown, nothing that it reads was needed.
    """

    fields: tuple[str, ...]
    known: tuple[str, ...]


class Story(Struct, frozen=True):
    """How it came to what one placement says: how many actions each stage left, and what drew the first.

    `sentence` is for the customer, and is made for whoever is told (`depths.py`). `fits` are the rules by which what
    was said was permitted. `odds` are those of the draw by action; nothing is the empty one.
    """

    placement: str
    action: str
    stages: tuple[tuple[Stage, int], ...]
    policy: str = ""
    explored: bool = False
    draw: float | None = None
    odds: tuple[tuple[str, float], ...] = ()
    asked_by: Reason | None = None
    fits: tuple[Fit, ...] = ()
    sentence: str = ""


class FieldSeen(Struct, frozen=True):
    """One field as the decision saw it; `value` is unset when it was unknown.

    `age_ms` is told for what was too old as well; it is unset for what was never heard of, for what came with the
    request, and for what the clock says. `version` is that of the model which computed it, empty for other sources.
    """

    field: str
    value: Scalar | None
    age_ms: int | None
    version: str = ""
    purpose: str = ""
    max_age_ms: int | None = None
    used: bool = False


class Explanation(Struct, frozen=True):
    """The fate of every action and every field that the consent allowed, and the story of each placement where more is
    told. `depth` is set once it is known to whom.
    """

    fates: tuple[Fate, ...]
    fields: tuple[FieldSeen, ...]
    level: str
    placements: tuple[Story, ...] = ()
    depth: Depth | None = None

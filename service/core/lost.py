"""Lost: at which stage an action fell that a placement does not say, and everything that it fell by there.

Without exactly that it passes the stage: without the reasons, and without the actions that stand before it.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from service.core.again import Again
from service.core.answers import SHOWN
from service.core.changes import Scene
from service.core.decision import Reason, ReasonCode
from service.core.engine import Engine
from service.core.explain import NO_TREATMENT
from service.core.explained import Stage
from service.core.memory import Switched
from service.core.plan import Entry, PlacementPlan
from service.core.policy import OTHERWISE

WORTH_LESS = Reason(ReasonCode.NOTHING_WORTH_SAYING, "It is worth no more than saying nothing.")


class Lost(Struct, frozen=True):
    """The first stage that an action did not pass, the reasons, and the actions `ahead` of it, the best first."""

    stage: Stage
    reasons: tuple[Reason, ...]
    ahead: tuple[str, ...] = ()


def lost(engine: Engine, made: Again, place: int, action: str) -> Lost | None:
    """Return why an action is not the first that a placement may say; None where it is."""
    index = next(one.index for one in engine.strategy.actions if one.id == action)
    at = made.request.channel, made.request.placements[place]
    treatments = engine.strategy.actions[index].treatments
    if at not in ((one.channel, one.placement) for one in treatments):
        return Lost(Stage.TREATED, (NO_TREATMENT,))
    for stage, vetoes in ((Stage.JUDGED, made.judged.verdicts.vetoes), (Stage.CAPPED, made.judged.capped[place])):
        if reasons := tuple(veto.reason for veto in vetoes if veto.mask >> index & 1):
            return Lost(stage, reasons)
    return _overtaken(engine, made, place, index)


def _overtaken(engine: Engine, made: Again, place: int, index: int) -> Lost | None:
    """Take away what comes first until the action does: what was taken away stood before it."""
    action, earlier = engine.strategy.actions[index].id, frozenset(map(_first, made.entry.placements[:place]))
    if action in earlier:
        return Lost(Stage.RANKED, (SHOWN,))
    if _first(made.entry.placements[place]) == action:
        return None
    if not made.scores.worth >> index & 1:
        return Lost(Stage.SCORED, (WORTH_LESS,))
    others = frozenset(one.id for one in engine.strategy.actions) - earlier - {action}
    if _first(_without(engine, made, others).placements[place]) != action:
        return Lost(Stage.RANKED, _hindered(engine, made, place, others | earlier))
    said, ahead = list(map(_first, made.entry.placements)), list[str]()
    while action not in said[: place + 1] and said[place]:
        ahead.append(said[place])
        said = list(map(_first, _without(engine, made, frozenset(ahead)).placements))
    return Lost(Stage.RANKED, () if said[place] == action else (SHOWN,), tuple(ahead))


def _hindered(engine: Engine, made: Again, place: int, others: frozenset[str]) -> tuple[Reason, ...]:
    """Return why an action is not said where nothing else could be: by another placement, or as nothing was drawn."""
    entry, request = made.entry, made.request
    request = replace(request, placements=request.placements[place : place + 1])
    alone = replace(made, request=request, entry=replace(entry, draws=entry.draws[place : place + 1]))
    placed = _without(engine, alone, others).placements[0]
    return placed.suppression.reasons if placed.suppression else (OTHERWISE,)


def _without(engine: Engine, made: Again, actions: frozenset[str]) -> Entry:
    """Return the decision as if these actions were switched off, too."""
    off = Switched(made.known.off.actions | actions, made.known.off.everything)
    fewer = replace(made, known=replace(made.known, off=off), snapshot=replace(made.snapshot, off=off))
    scene = Scene(engine, fewer)
    return scene.decided(fewer.snapshot, scene.judged(fewer.snapshot))


def _first(placed: PlacementPlan) -> str:
    return placed.candidates[0].action if placed.candidates else ""

"""Why an action lost: without exactly the reasons that are named it passes the stage at which it fell."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

from msgspec import structs

from models.context import Purpose
from models.propensity import Folded
from service.core.again import Again
from service.core.answers import SHOWN
from service.core.decision import Committed, Reason, ReasonCode
from service.core.engine import Engine
from service.core.explained import Stage
from service.core.lost import Lost, lost
from service.core.plan import pack
from service.core.policy import OTHERWISE
from service.core.rules import CONTACT_PERMISSION, Exemption, Selector
from service.core.strategy import Strategy
from tests.core.otherwise import decided, first
from tests.core.small_worlds import small_world
from tests.core.worlds import Case

FIRST, DECISIONS = int(os.environ.get("TACT_SEED", "0")), int(os.environ.get("TACT_DECISIONS", "30"))
Fell = dict[str, Lost]


def test_without_what_is_named_a_losing_action_passes_the_stage() -> None:
    """Of every action that a placement does not say first, and of every stage that actions fall at."""
    fallen: Counter[Stage] = Counter()
    for seed in range(FIRST, FIRST + DECISIONS):
        strategy, model, case, draws = small_world(Random(seed))
        engine = Engine(strategy, model)
        made = decided(engine, case, draws)
        explained = engine.explainer.explained(made, _committed(made))
        for place in range(len(case.request.placements)):
            named = {action.id: lost(engine, made, place, action.id) for action in strategy.actions}
            assert [name for name, fell in named.items() if fell is None] == list(filter(None, [first(made, place)]))
            fell = {name: one for name, one in named.items() if one is not None}
            fallen.update(one.stage for one in fell.values())
            told = {fate.action: set(fate.vetoes) for fate in explained.fates}
            for name, one in fell.items():
                if one.stage in (Stage.JUDGED, Stage.CAPPED):
                    assert set(one.reasons) <= told[name], (seed, name)
            _check_rules(strategy, model, case, made, place, fell, seed)
            _check_scores(strategy, model, case, made, place, fell, seed)
            _check_ranks(strategy, model, case, made, place, fell, seed)
    if DECISIONS >= 50:
        assert set(fallen) == {Stage.TREATED, Stage.JUDGED, Stage.CAPPED, Stage.SCORED, Stage.RANKED}


def _committed(made: Again) -> Committed:
    return Committed(pack(made.entry), b"", tuple(0 for _ in made.entry.placements), (), repeated=False)


# ---------------------------------------------------------------------------------------- rules, consent, permission


def _check_rules(
    strategy: Strategy, model: Folded | None, case: Case, made: Again, place: int, fell: Fell, seed: int
) -> None:
    """Let each action out of what is named, and see that it passes; out of all but one of it, and see that not."""
    held = {name: one for name, one in fell.items() if one.stage in (Stage.JUDGED, Stage.CAPPED)}
    remembered = {name for name, one in held.items() if _REMEMBERED & {reason.code for reason in one.reasons}}
    for together in ({*held} - remembered, *({name} for name in remembered)):  # a no counts for others, too
        some = {name: held[name] for name in together}
        free = _judged(strategy, model, case, made, {name: one.reasons for name, one in some.items()})
        less = _judged(strategy, model, case, made, {name: _but_one(one.reasons) for name, one in some.items()})
        for name, one in some.items():
            index = next(action.index for action in strategy.actions if action.id == name)
            assert _passes(free[_by_consent(one.reasons)], one.stage, place) >> index & 1, (seed, name, one)
            still = less[_by_consent(_but_one(one.reasons))]
            assert not _passes(still, one.stage, place) >> index & 1, (seed, name, one)


_REMEMBERED = {ReasonCode.COOLING_OFF, ReasonCode.NEVER_AGAIN, ReasonCode.PROMISED_OTHERWISE}


def _passes(made: Again, stage: Stage, place: int) -> int:
    return made.judged.survivors[place] if stage is Stage.CAPPED else ~made.judged.verdicts.vetoed


def _but_one(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Return reasons without all that the first one's rule gives."""
    return tuple(one for one in reasons if (one.code, one.rule) != (reasons[0].code, reasons[0].rule))


def _by_consent(reasons: Iterable[Reason]) -> bool:
    return any(one.code is ReasonCode.NO_CONSENT for one in reasons)


def _judged(
    strategy: Strategy, model: Folded | None, case: Case, made: Again, named: dict[str, tuple[Reason, ...]]
) -> dict[bool, Again]:
    """Decide without what is named for each action: as the consent is, and as if it allowed offers."""
    lets_out = tuple(
        Exemption(f"out-{name}", "", Selector(ids=(name,)), names)
        for name, reasons in named.items()
        if (names := tuple({_exempted(one) for one in reasons} - {""}))
    )
    engine = Engine(replace(strategy, exemptions=(*strategy.exemptions, *lets_out)), model)
    level = made.snapshot.level
    more = replace(level, purposes=tuple({*level.purposes, Purpose.PERSONALIZATION}))
    snapshots = {False: made.snapshot, True: structs.replace(made.snapshot, level=more)}
    return {
        agreed: structs.replace(made, judged=engine.judge(snapshot, case.known, case.request))
        for agreed, snapshot in snapshots.items()
    }


def _exempted(reason: Reason) -> str:
    return CONTACT_PERMISSION if reason.code is ReasonCode.NO_CONTACT_PERMISSION else reason.rule


# --------------------------------------------------------------------------------------------------- worth and ranks


def _check_scores(
    strategy: Strategy, model: Folded | None, case: Case, made: Again, place: int, fell: Fell, seed: int
) -> None:
    """Pay what an action lacks against silence, and a cent more: it is worth saying."""
    for name in (name for name, one in fell.items() if one.stage is Stage.SCORED):
        index = next(action.index for action in strategy.actions if action.id == name)
        lacks = -float(made.scores.net[index])
        assert lacks >= 0.0, (seed, name)
        actions = tuple(replace(a, cost=a.cost - lacks - 0.01) if a.id == name else a for a in strategy.actions)
        paid = decided(Engine(replace(strategy, actions=actions), model), case, made.entry.draws)
        assert paid.scores.worth >> index & 1, (seed, name)


def _check_ranks(
    strategy: Strategy, model: Folded | None, case: Case, made: Again, place: int, fell: Fell, seed: int
) -> None:
    """Without words for exactly the actions before it an action comes first, and with any one of them it does not."""
    for name, one in fell.items():
        if one.stage is not Stage.RANKED:
            continue
        if not one.ahead:
            _check_hindered(strategy, model, case, made, place, name, one)
            continue
        assert one.ahead[0] == first(made, place), (seed, name, one)
        for silent, wins in ((one.ahead, True), (one.ahead[:-1], False)):
            rest = _silenced(strategy, model, case, made, silent)
            said = [first(rest, other) for other in range(place + 1)]
            assert (name in said if one.reasons else said[-1] == name) is wins, (seed, name, one, said)


def _check_hindered(
    strategy: Strategy, model: Folded | None, case: Case, made: Again, place: int, name: str, one: Lost
) -> None:
    """It is said at another placement, or something is that promises otherwise: asked for alone it comes first."""
    if one.reasons == (SHOWN,):
        assert name in [first(made, other) for other in range(place)], name
        return
    assert one.reasons == (OTHERWISE,), one
    alone = replace(case, request=structs.replace(case.request, placements=case.request.placements[place : place + 1]))
    entry = structs.replace(made.entry, draws=made.entry.draws[place : place + 1])
    silent = [action.id for action in strategy.actions if action.id != name]
    assert first(_silenced(strategy, model, alone, structs.replace(made, entry=entry), silent), 0) == name


def _silenced(strategy: Strategy, model: Folded | None, case: Case, made: Again, silent: Sequence[str]) -> Again:
    """Decide where these actions have no words."""
    actions = tuple(replace(a, treatments=()) if a.id in silent else a for a in strategy.actions)
    return decided(Engine(replace(strategy, actions=actions), model), case, made.entry.draws)

"""Questions about insight to values, and what was counted to an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from models.context import Source
from service.core.decision import ReasonCode
from service.core.insight import BUCKETS, Insight
from service.core.stock import counts
from service.core.strategy import Strategy
from service.core.sums import Sums
from service.rpc import checks
from service.rpc.checks import Findings, timestamp
from service.rpc.convert_strategy import KINDS, rules_of
from tact.v1 import insight_pb2 as pb

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
STEPS_MINUTES = (5, 15, 60, 360, 1440)
USUAL_STEP = 60
MOST_STEPS = 200
LONGEST_MS = 31 * DAY_MS
FEWEST_SAID = 30
_Z = 1.96
_BUILT_IN = frozenset(
    {
        ReasonCode.NO_CONSENT,
        ReasonCode.NO_CONTACT_PERMISSION,
        ReasonCode.OUT_OF_STOCK,
        ReasonCode.SHORT_SUPPLY,
        ReasonCode.SWITCHED_OFF,
        ReasonCode.CHECK_FAILED,
        ReasonCode.NOTHING_WORTH_SAYING,
        ReasonCode.CONTROL_GROUP,
        ReasonCode.NOT_DUE,
    }
)
BUILT_IN = tuple(code.name.lower().replace("_", "-") for code in ReasonCode if code in _BUILT_IN)


def question(request: pb.GetInsightRequest, now_ms: int) -> tuple[int, int]:
    """Check of which time to tell; return from when on and how long a step is (ms)."""
    found, step, since_ms = Findings(), request.step_minutes or USUAL_STEP, now_ms - DAY_MS
    if step not in STEPS_MINUTES:
        listed = ", ".join(map(str, STEPS_MINUTES))
        found.add("step_minutes", f"is {request.step_minutes}; send one of {listed}, or 0 for {USUAL_STEP}.")
    if request.HasField("since"):
        since_ms = checks.check_past(found, "since", request.since, now_ms)
        if not found.violations and not now_ms - LONGEST_MS <= since_ms < now_ms:
            found.add("since", "is not within the last 31 days; send a later moment that has passed.")
    found.end()
    while (now_ms - since_ms) / (step * MINUTE_MS) > MOST_STEPS and step != STEPS_MINUTES[-1]:
        step = STEPS_MINUTES[STEPS_MINUTES.index(step) + 1]
    step_ms = step * MINUTE_MS
    return since_ms - since_ms % step_ms, step_ms


@dataclass(frozen=True, slots=True)
class Answer:
    """What was counted, to be told in the words of a strategy; `stamp` names what is in force."""

    strategy: Strategy
    stamp: tuple[str, str, str]
    insight: Insight

    @property
    def total(self) -> Sums:
        """What was counted in all."""
        return self.insight.told.total

    def message(self) -> pb.GetInsightResponse:
        """Return the answer."""
        told = self.insight.told
        return pb.GetInsightResponse(
            since=timestamp(told.since_ms),
            until=timestamp(told.until_ms),
            step_minutes=told.step_ms // MINUTE_MS,
            basis=self._basis(),
            steps=self._steps(),
            rules=self._rules(),
            actions=[self._action(action.id) for action in self.strategy.actions],
            suppressions=self._suppressions(),
            supplies=self._supplies(),
            versions=self._versions(),
            shadow=self._shadow(),
            drift=self._drift(),
            data=self._data(),
        )

    def _by_step(self, *name: str) -> list[int]:
        return [step.of(*name) for step in self.insight.told.steps]

    def _basis(self) -> pb.InsightBasis:
        return pb.InsightBasis(
            decisions=self.total.of("decisions"),
            judged=self.total.of("judged"),
            outcomes=self.total.of("outcomes"),
            buckets=self.insight.buckets,
            all_buckets=BUCKETS,
            complete=self.insight.complete,
            unreadable=self.total.of("unreadable"),
        )

    def _steps(self) -> Iterator[pb.InsightStep]:
        told = self.insight.told
        for place, step in enumerate(told.steps):
            yield pb.InsightStep(
                at=timestamp(told.since_ms + place * told.step_ms),
                decisions=step.of("decisions"),
                said=step.of("said"),
                greetings=step.of("greetings"),
                suppressed=step.of("suppressed"),
                degraded=step.of("degraded"),
                accepted=step.of("accepted"),
                refused=step.of("refused"),
            )

    def _rules(self) -> Iterator[pb.RuleInsight]:
        for rule in rules_of(self.strategy):
            yield self._rule(rule.id, KINDS[type(rule)])
        counted = {name for kind in ("rule", "rule silenced") for (name,), _ in self.total.about(kind)}
        for name in (one for one in BUILT_IN if one in counted):
            yield self._rule(name, pb.RULE_KIND_BUILT_IN)

    def _rule(self, name: str, kind: pb.RuleKind.ValueType) -> pb.RuleInsight:
        return pb.RuleInsight(
            rule_id=name,
            kind=kind,
            decisions=self.total.of("rule", name),
            held_back=self.total.of("rule held", name),
            suppressions=self.total.of("rule silenced", name),
            alone=self.total.of("rule alone", name),
            decisions_by_step=self._by_step("rule", name),
            bound_late=self.total.of("rule late", name),
        )

    def _action(self, name: str) -> pb.ActionInsight:
        total, won = self.total, self.total.of("action", name, "won")
        held = sorted(((n, rule) for (one, rule), n in total.about("back") if one == name), reverse=True)
        stages = ("considered", "eligible", "scored", "ranked", "won", "shown", "clicked", "accepted", "refused")
        return pb.ActionInsight(
            action_id=name,
            **{stage: total.of("action", name, stage) for stage in stages},
            held_back=[pb.HeldBack(rule_id=rule, decisions=n) for n, rule in held],
            mean_propensity=total.sum("propensity", name) / won if won else None,
            net_value=total.sum("net", name),
            amount=total.sum("amount", name),
        )

    def _suppressions(self) -> list[pb.SuppressionInsight]:
        found = [
            pb.SuppressionInsight(
                code=int(code),  # type: ignore[arg-type]  # numbers of the contract
                rule_id=rule,
                sentence=sentence,
                placements=times,
                placements_by_step=self._by_step("why", code, rule, sentence),
            )
            for (code, rule, sentence), times in self.total.about("why")
        ]
        return sorted(found, key=lambda one: one.placements, reverse=True)

    def _supplies(self) -> Iterator[pb.SupplyInsight]:
        taken: dict[str, list[str]] = {}
        below: dict[str, int] = {}
        units: dict[str, int] = {}
        for action in self.strategy.actions:
            if (needs := action.consumes) is not None:
                taken.setdefault(needs.supply, []).append(action.id)
                below[needs.supply] = max(below.get(needs.supply, 0), needs.throttle_below)
                units[needs.supply] = min(units.get(needs.supply, needs.units), needs.units)
        for count in counts(self.strategy.schema):
            name, supplied = count.field.id, count.supplied
            for (item, place), stock in sorted(self.insight.stocks.items()):
                if stock is None or item != supplied.item or supplied.place not in ("", place):
                    continue
                wanted = below.get(name, 0) or units.get(name, 1)
                yield pb.SupplyInsight(
                    field_id=name,
                    item=item,
                    place=place,
                    free=stock.free,
                    throttle_below=below.get(name, 0),
                    pressure=min(1.0, max(0.0, 1.0 - stock.free / wanted)),
                    observed_at=timestamp(stock.observed_ms),
                    action_ids=taken.get(name, ()),
                    short=self.total.of("short", name),
                )

    def _versions(self) -> list[pb.VersionInsight]:
        found = [
            (last, strategy, model, first, self.total.of("version", strategy, model))
            for (_, strategy, model), (first, last) in self.total.spans.items()
        ]
        return [
            pb.VersionInsight(
                strategy=strategy,
                model=model,
                decisions=times,
                first_at=timestamp(first),
                last_at=timestamp(last),
                in_force=(strategy, model) == self.stamp[:2],
            )
            for last, strategy, model, first, times in sorted(found, reverse=True)
        ]

    def _shadow(self) -> pb.ShadowInsight | None:
        total, model = self.total, self.stamp[2]
        if not model:
            return None
        actions = [
            pb.ShadowAction(
                action_id=name,
                times=times,
                champion_propensity=total.sum("shadow champion", name) / times,
                challenger_propensity=total.sum("shadow challenger", name) / times,
                champion_first=total.of("shadow champion first", name),
                challenger_first=total.of("shadow challenger first", name),
            )
            for (name,), times in sorted(total.about("shadow both"))
        ]
        same, failed = total.of("shadow same", model), total.of("shadow failed", model)
        placements = total.of("shadow", model)
        return pb.ShadowInsight(model=model, placements=placements, same=same, failed=failed, actions=actions)

    def _drift(self) -> Iterator[pb.DriftInsight]:
        for (name,), said in sorted(self.total.about("predicted")):
            came = self.total.of("came", name)
            predicted = self.total.sum("predicted", name) / said
            low, high = wilson(came, said)
            outside = said >= FEWEST_SAID and not low <= predicted <= high
            yield pb.DriftInsight(
                action_id=name, said=said, predicted=predicted, came=came / said, came_low=low, came_high=high,
                outside=outside,
            )  # fmt: skip

    def _data(self) -> Iterator[pb.DataInsight]:
        for field in self.strategy.schema.fields:
            if field.source is Source.REQUEST:
                continue
            known, name = self.total.of("known", field.id), field.id
            found = pb.DataInsight(field_id=name, known=known, unknown=self.total.of("unknown", name))
            if self.total.is_of_many("value", name):
                _add_means(found, self.total, self.insight.told.steps)
            yield found


def _add_means(found: pb.DataInsight, total: Sums, steps: Sequence[Sums]) -> None:
    """Add the means of a field; that of all is over the steps that have one, or the difference would tell of few."""
    name, many = found.field_id, [step if step.is_of_many("value", found.field_id) else None for step in steps]
    told = Sums.total(filter(None, many)) if any(many) else total
    found.mean = told.sum("value", name) / told.of("known", name)
    for step in many:
        known = step.of("known", name) if step else 0
        found.known_by_step.append(known)
        found.mean_by_step.append(step.sum("value", name) / known if step else 0.0)


def wilson(came: int, said: int) -> tuple[float, float]:
    """Return where a share lies with 95 % certainty, by Wilson's interval (Wilson 1927)."""
    share, z2 = came / said, _Z * _Z
    centre, spread = share + z2 / (2 * said), _Z * sqrt((share * (1 - share) + z2 / (4 * said)) / said)
    return max(0.0, (centre - spread) / (1 + z2 / said)), min(1.0, (centre + spread) / (1 + z2 / said))

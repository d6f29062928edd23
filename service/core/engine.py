"""One immutable version of the decision logic: a compiled strategy with the model it scores with.

Everything here is pure: the clock and the dice are arguments, and the same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec import Struct

from models.context import Scalar
from models.propensity import Folded
from service.core import answers, plan
from service.core.arbitrate import Arbiter, Scores
from service.core.caps import CapTable
from service.core.check import STOCK, Checker
from service.core.decision import Commit, Committed, Counter, Decision, Explanation, Known, Reason, ReasonCode, Request
from service.core.explain import explanation
from service.core.judge import Judge, Verdicts, Veto
from service.core.plan import Entry, PlacementPlan
from service.core.snapshot import Sight, Snapshot
from service.core.stock import NOTHING_KNOWN, Shelf, Stocks
from service.core.stockroom import Stockroom
from service.core.strategy import Strategy
from service.core.validity import GONE, Issued, Standing, reasons_against, standings, unforeseen

TRIED = 2
"""How many ranked candidates a placement the commit may try before it gives up."""

NO_MODEL = Reason(ReasonCode.NO_MODEL, "No model is loaded; the strategy's priors were used.")


class Judged(Struct, frozen=True):
    """The verdicts of a request, and for each placement the vetoes of caps and the actions that survive."""

    verdicts: Verdicts
    capped: tuple[tuple[Veto, ...], ...]
    survivors: tuple[int, ...]


class Checked(Struct, frozen=True):
    """A plan that the independent check has seen, and the rules over which it disagreed (normally none)."""

    entry: Entry
    objections: tuple[str, ...]


class Engine:
    """Decides under one strategy and one model. Constructing it compiles; it then holds no state."""

    def __init__(self, strategy: Strategy, model: Folded | None) -> None:
        self.strategy = strategy
        self.model_version = model.version if model else ""
        self._sight = Sight(strategy)
        self._judge = Judge(strategy)
        self._caps = CapTable(strategy)
        self._arbiter = Arbiter(strategy, model)
        self._checker = Checker(strategy)
        self._stockroom = Stockroom(strategy)
        self._texts = answers.Texts(strategy, frozenset(model.actions if model else ()))
        self._degraded = (NO_MODEL,) if strategy.features and model is None else ()

    def see(self, known: Known, request: Request, stocks: Stocks = NOTHING_KNOWN) -> Snapshot:
        """Return the typed snapshot of what may be known of the customer, and of the supply that matters to them."""
        return self._sight.see(known, request, stocks)

    def unlisted(self, snapshot: Snapshot, stocks: Stocks) -> tuple[Shelf, ...]:
        """Return the items and places that the snapshot would need to know of and `stocks` does not list."""
        return self._sight.unlisted(snapshot, stocks)

    def judge(self, snapshot: Snapshot, known: Known, request: Request) -> Judged:
        """Return every veto, and what survives at each placement."""
        channel, now_ms = request.channel, snapshot.now_ms
        verdicts = self._with_stock(self._judge.judge(snapshot, channel), snapshot, request)
        capped, survivors = [], []
        for placement in request.placements:
            vetoes = self._capped(request.channel, placement, known, now_ms)
            left = self._texts.treated(channel, placement) & ~verdicts.vetoed
            for veto in vetoes:
                left &= ~veto.mask
            capped.append(tuple(vetoes))
            survivors.append(left)
        return Judged(verdicts, tuple(capped), tuple(survivors))

    def _with_stock(self, verdicts: Verdicts, snapshot: Snapshot, request: Request) -> Verdicts:
        found = self._stockroom.vetoes(snapshot.values, request.customer)
        if not found:
            return verdicts
        vetoed = verdicts.vetoed
        for veto in found:
            vetoed |= veto.mask
        return msgspec.structs.replace(verdicts, vetoes=(*verdicts.vetoes, *found), vetoed=vetoed)

    def score(self, snapshot: Snapshot, judged: Judged, request: Request) -> Scores:
        """Return the propensity and net value of every action, in one vectorised call."""
        factors = self._judge.factors(request.channel, judged.verdicts.truths)
        return self._arbiter.score(snapshot.values, snapshot.now_ms, factors)

    def arbitrate(
        self,
        decision_id: str,
        request: Request,
        snapshot: Snapshot,
        judged: Judged,
        scores: Scores,
        draws: Sequence[float],
    ) -> Entry:
        """Return the plan: for each placement the ranked candidates, or the suppression. One draw a placement.

        Placements are filled in order, and what is first at one is no candidate at those after it: probabilities are
        those at a placement, given what the placements before it say.
        """
        placements, taken = [], 0
        for place in range(len(request.placements)):
            placed = self._planned(place, request, judged, scores, draws[place], taken)
            placements.append(placed)
            if placed.candidates:
                taken |= 1 << self._texts.index[placed.candidates[0].action]
        return Entry(
            decision_id=decision_id,
            customer=request.customer,
            channel=request.channel,
            at_ms=snapshot.now_ms,
            strategy=self.strategy.version,
            model=self.model_version,
            level=snapshot.level.id,
            degraded=self._degraded,
            asks=judged.verdicts.asks,
            values=snapshot.values,
            draws=tuple(draws),
            placements=tuple(placements),
            takes=self._stockroom.takes((c.action for p in placements for c in p.candidates), snapshot.values),
        )

    def check(self, entry: Entry, snapshot: Snapshot) -> Checked:
        """Look at each candidate with the second implementation; where it objects, the placement is suppressed."""
        actions = {candidate.action for placed in entry.placements for candidate in placed.candidates}
        objections = self._checker.objections(actions, snapshot, entry.channel)
        if not objections:
            return Checked(entry, ())
        placements = tuple(_without(placed, objections) for placed in entry.placements)
        return Checked(msgspec.structs.replace(entry, placements=placements), tuple(sorted(set(objections.values()))))

    def commit(self, entry: Entry, request: Request, read_ms: int = 0, asked: str = "", consent: bytes = b"") -> Commit:
        """Return what the store must do at once for a plan that was made of what was read at `read_ms`.

        `asked` is the identity of the customer that was asked about, where that is another id; `consent` the one that
        was read.
        """
        candidates = tuple(
            tuple((c.action, self._counters(entry.channel, placed, c.action)) for c in placed.candidates)
            for placed in entry.placements
        )
        return Commit(
            entry.customer,
            entry.decision_id,
            self.digest(request),
            entry.at_ms,
            plan.pack(entry),
            candidates,
            read_ms,
            entry.takes,
            asked,
            consent,
        )

    def digest(self, request: Request) -> bytes:
        """Return 8 bytes that tell another request under the same idempotency key; empty where there is no key.

        Fields count by their ids, so that a request is the same under a strategy that only has more of them.
        """
        if not request.idempotency_key:
            return b""
        fields = self.strategy.schema.fields
        context = sorted((fields[index].id, _plain(value)) for index, value in request.context.items())
        said = (request.channel, request.placements, context, request.as_of_ms)
        return blake2b(repr(said).encode(), digest_size=8).digest()

    def answer(self, committed: Committed, planned: Entry | None, explained: Explanation | None = None) -> Decision:
        """Return the decision that was committed: the one just planned, or the one stored before under the same id.

        A decision of an earlier strategy keeps its actions and reasons, in the words that this strategy has for them.
        """
        entry = plan.unpack(committed.entry) if planned is None or committed.repeated else planned
        return Decision(
            decision_id=entry.decision_id,
            answers=answers.chosen(entry, committed, self._texts, self._caps.reason),
            strategy=entry.strategy,
            model=entry.model,
            at_ms=entry.at_ms,
            degraded=entry.degraded,
            explanation=explained,
        )

    def explain(self, snapshot: Snapshot, judged: Judged, scores: Scores, request: Request) -> Explanation:
        """Return the fate of every action and every field that the consent allows."""
        treated = 0
        for placement in request.placements:
            treated |= self._texts.treated(request.channel, placement)
        vetoes = [*judged.verdicts.vetoes, *(veto for capped in judged.capped for veto in capped)]
        fields = self._sight.fields_seen(snapshot)
        return explanation(self.strategy, vetoes, treated, scores, fields, snapshot.level.id)

    def given_then(self, issued: Issued, known: Known) -> frozenset[int]:
        """Return the fields of which it may be read what they were when something was decided: those that came with
        the request, if the strategy is the same one and the consent of now allows them.
        """
        same = issued.strategy == self.strategy.version and not known.erased
        return self._sight.requested(known.level) if same else frozenset()

    def see_again(
        self, issued: Issued, known: Known, given: Mapping[int, Scalar], as_of_ms: int | None, stocks: Stocks
    ) -> Snapshot | None:
        """Return what is known now, and of the request what is `given`; None for nobody and where no channel is."""
        if known.erased or all(channel.id != issued.channel for channel in self.strategy.channels):
            return None
        return self.see(known, Request(issued.customer, issued.channel, (), given, as_of_ms=as_of_ms), stocks)

    def revisit(self, issued: Issued, snapshot: Snapshot) -> tuple[tuple[Standing, ...], tuple[str, ...]]:
        """Return what forbids now what was decided then, and the rules over which the independent check disagrees.

        Caps are left out: the contact was counted when it was decided. So is the stock: units are held for a decision.
        """
        verdicts = self._judge.judge(snapshot, issued.channel)
        kept = [action for action in issued.actions if action in self._texts.index]
        found = self._checker.objections(kept, snapshot, issued.channel)
        objections = {action: rule for action, rule in found.items() if rule != STOCK}

        def against(placement: str, action: str) -> Iterable[Reason]:
            if not self._texts.says(issued.channel, placement, action):
                return (GONE,)
            return reasons_against(1 << self._texts.index[action], verdicts.vetoes, objections.get(action))

        placements = standings(issued, against)
        return placements, unforeseen(objections, placements)

    def safe(self, request: Request, why: Reason, at_ms: int) -> Decision:
        """Return the safe answer: a neutral greeting where one fits, nothing elsewhere, flagged as degraded."""
        safe = self._texts.safe(request, self.strategy.safe_greeting, why)
        return Decision("", safe, self.strategy.version, self.model_version, at_ms, (why,))

    def _capped(self, channel: str, placement: str, known: Known, now_ms: int) -> list[Veto]:
        used = self._caps.used_up(channel, placement, known.counters, now_ms)
        return [Veto(capped.mask, capped.reason, frees_ms) for capped, frees_ms in used]

    def _planned(
        self, place: int, request: Request, judged: Judged, scores: Scores, draw: float, taken: int
    ) -> PlacementPlan:
        channel, placement = request.channel, request.placements[place]
        most = TRIED + len(request.placements) - 1
        verdicts, survivors = judged.verdicts, judged.survivors[place] & ~taken
        ranking = self._arbiter.rank(survivors, verdicts.preferred, scores, request.customer, draw, most)
        if not ranking.order:
            ranking = self._texts.greeting(channel, survivors)
        if ranking.order:
            return self._texts.planned(placement, ranking, scores, verdicts.preferred)
        treated = self._texts.treated(channel, placement)
        vetoes = [veto for veto in (*verdicts.vetoes, *judged.capped[place]) if veto.mask & treated]
        if judged.survivors[place] & taken:
            vetoes.insert(0, Veto(judged.survivors[place] & taken, answers.SHOWN))
        best = self._arbiter.best(treated, scores, request.customer)
        return answers.suppressed(placement, best, survivors, vetoes, self.strategy)

    def _counters(self, channel: str, placed: PlacementPlan, action_id: str) -> tuple[Counter, ...]:
        return self._caps.counters(channel, placed.placement, self._texts.index[action_id])


def _without(placed: PlacementPlan, objections: Mapping[str, str]) -> PlacementPlan:
    broken = [objections[c.action] for c in placed.candidates if c.action in objections]
    return answers.withheld(placed, broken[0]) if broken else placed


def _plain(value: Scalar) -> str:
    return repr(value + 0.0 if type(value) is float else value)  # no negative zero

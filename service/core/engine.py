"""One immutable version of the decision logic: a compiled strategy with the model it scores with.

Everything here is pure: the clock and the dice are arguments, and the same arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property

import msgspec
import numpy as np
from msgspec import Struct

from models.context import Scalar, Source
from models.propensity import Folded
from service.core import answers, plan
from service.core.adapting import Adapting, Learned
from service.core.arbitrate import Arbiter, Scores
from service.core.check import STOCK, SWITCH, Checker
from service.core.decision import Commit, Committed, Counter, Decision, Known, Reason, Request, Take
from service.core.digest import digest_of
from service.core.disagreement import disagreements
from service.core.distribution import Distribution
from service.core.explained import Explanation
from service.core.explaining import Explainer
from service.core.judge import Judge, Veto
from service.core.ladder import MODEL_FAILED, NO_MODEL, Ladder, ModelFailed, with_missing
from service.core.memory import NOTHING_OFF, NOTHING_REMEMBERED, Memory, Switched
from service.core.plan import Entry
from service.core.planning import Planner, Whose
from service.core.policy import Judged, Policy
from service.core.shadow import Challenger
from service.core.snapshot import Sight, Snapshot
from service.core.stock import NOTHING_KNOWN, Shelf, Stocks
from service.core.stockroom import Stockroom
from service.core.strategy import ConsentLevel, Strategy
from service.core.switched import OFF, is_off
from service.core.validity import GONE, Issued, Standing, reasons_against, standings, unforeseen, worded_without_consent


class Checked(Struct, frozen=True):
    """A plan that the independent check has seen, and the rules over which it disagreed (normally none)."""

    entry: Entry
    objections: tuple[str, ...]


class Engine:
    """Decides under one strategy and one model. Constructing it compiles; it then holds no state.

    A `challenger` is scored beside the model, logged with the decision, and has no part in it.
    """

    def __init__(self, strategy: Strategy, model: Folded | None, challenger: Folded | None = None) -> None:
        self.strategy = strategy
        self.model_version = model.version if model else ""
        self._names = tuple(action.id for action in strategy.actions)
        self._sight = Sight(strategy)
        self._judge = Judge(strategy)
        self._arbiter = Arbiter(strategy, model)
        self._checker = Checker(strategy)
        self._stockroom = Stockroom(strategy)
        self._texts = answers.Texts(strategy, model.knows if model else frozenset())
        self._policy = Policy(strategy, self._texts)
        self.adapting = Adapting.of(strategy)
        self._planner = Planner(strategy, self._arbiter, self._texts, self._policy)
        self._challenger = Challenger(strategy, challenger, self._judge, self._policy) if challenger else None
        self.ladder = Ladder(strategy, self._sight, self._judge, self._texts)
        self._noughts = np.zeros(len(strategy.actions))
        self._tells_contacts = any(field.source is Source.MEMORY for field in strategy.schema.fields)
        self._degraded = (NO_MODEL,) if strategy.features and model is None else ()
        self.by_priors = self._by_priors() if model else self

    def _by_priors(self) -> Engine:
        """Return the same strategy without the model, for when that cannot score."""
        plain = copy(self)
        plain.model_version = ""
        plain._texts = answers.Texts(self.strategy)
        plain._arbiter = Arbiter(self.strategy, None)
        plain._policy = Policy(self.strategy, plain._texts)
        plain._planner = Planner(self.strategy, plain._arbiter, plain._texts, plain._policy)
        plain._degraded, plain.by_priors, plain._challenger = (MODEL_FAILED,), plain, None
        return plain

    def see(self, known: Known, request: Request, stocks: Stocks = NOTHING_KNOWN) -> Snapshot:
        """Return the typed snapshot of what may be known of the customer, and of the supply that matters to them."""
        return self._sight.see(known, request, stocks)

    def shelves(self, snapshot: Snapshot) -> tuple[Shelf, ...]:
        """Return the items and places that the snapshot looks at."""
        return self._sight.unlisted(snapshot, NOTHING_KNOWN)

    def promises(self, request: Request, actions: Iterable[str], values: Sequence[Scalar | None], at_ms: int) -> bool:
        """Tell whether saying any of these actions gives a promise."""
        promises, known = self._policy.promises, [action for action in actions if action in self._texts.index]
        return promises is not None and bool(promises.gives(known, request.channel, values, at_ms))

    def takes(self, actions: Iterable[str], values: Sequence[Scalar | None]) -> tuple[Take, ...]:
        """Return what these actions take of the supply when they are said."""
        return self._stockroom.takes((action for action in actions if action in self._texts.index), values)

    def unlisted(self, snapshot: Snapshot, stocks: Stocks) -> tuple[Shelf, ...]:
        """Return the items and places that the snapshot would need to know of and `stocks` does not list."""
        return self._sight.unlisted(snapshot, stocks)

    def treated(self, channel: str, placement: str) -> int:
        """Return the actions that have words at a placement, as a mask."""
        return self._texts.treated(channel, placement)

    def level(self, name: str) -> ConsentLevel | None:
        """Return the consent level of a name; None where the strategy has none of it."""
        return self._sight.level(name)

    def judge(self, snapshot: Snapshot, known: Known, request: Request) -> Judged:
        """Return every veto, and what survives at each placement."""
        verdicts = self._judge.judge(snapshot, request.channel)
        return self._policy.judged(verdicts, snapshot, known, request)

    def score(self, snapshot: Snapshot, judged: Judged, request: Request, learned: Learned | None = None) -> Scores:
        """Return the propensity and net value of every action, in one vectorised call.

        `learned` is what outcomes said since the training, where the strategy adapts (and the engine has `adapting`).
        Raises `ModelFailed` where what a model gives is no number, and whatever else one raises that does not fit.
        """
        factors = self._judge.factors(request.channel, judged.verdicts.truths)
        if self.adapting is None:
            scores = self._arbiter.score(snapshot.values, snapshot.now_ms, factors)
        else:
            adapted = (learned or self.adapting.unlearned).of(snapshot.values)
            scores = self._arbiter.adjusted(snapshot.values, snapshot.now_ms, factors, adapted)
        if self.by_priors is not self and self._noughts.dot(scores.net) != 0.0:
            raise ModelFailed("an action's net value is no number")
        return scores

    def policy(
        self, request: Request, judged: Judged, scores: Scores, place: int = 0, whose: Whose = "person"
    ) -> Distribution:
        """Return the exact probability of everything that may be said at one placement, and of saying nothing.

        It is that of a placement which stands alone: what others say is not taken from it. `whose` chooses between
        this person, whose control group counts, the `main` policy of people in no group, and `everyone`: the mixture.
        """
        return self._planner.distribution(request, judged, scores, place, whose)

    def arbitrate(
        self,
        decision_id: str,
        request: Request,
        snapshot: Snapshot,
        judged: Judged,
        scores: Scores,
        draws: Sequence[float],
        missing: tuple[Reason, ...] = (),
    ) -> Entry:
        """Return the plan: for each placement the ranked candidates, or the suppression. One draw a placement.

        Placements are filled in order, and what is first at one is no candidate at those after it: probabilities are
        those at a placement, given what the placements before it say. `missing` is what was missing beside a model.
        """
        placements = self._planner.placed(request, snapshot.now_ms, judged, scores, draws)
        challenger = self._challenger
        return Entry(
            decision_id=decision_id,
            customer=request.customer,
            channel=request.channel,
            at_ms=snapshot.now_ms,
            strategy=self.strategy.version,
            model=self.model_version,
            level=snapshot.level.id,
            degraded=with_missing(self._degraded, missing) if missing else self._degraded,
            asks=judged.verdicts.asks,
            values=snapshot.values,
            draws=tuple(draws),
            placements=placements,
            takes=self._stockroom.takes((c.action for p in placements for c in p.candidates), snapshot.values),
            kept=judged.kept.keys,
            learned=scores.adjusted.logged(self._names, self._texts.anywhere(request)) if scores.adjusted else (),
            segment=scores.adjusted.adapted.segment if scores.adjusted else "",
            shadow=challenger.shadow(request, snapshot, judged, draws, placements) if challenger else None,
            seen=self._policy.seen(snapshot, judged, request.trigger),
        )

    def check(self, entry: Entry, snapshot: Snapshot, vetoes: Sequence[Veto] = ()) -> Checked:
        """Look at each candidate with the second implementation; where it objects, the placement is suppressed.

        `vetoes` are those of the judgement, so that the entry tells both verdicts.
        """
        actions = {candidate.action for placed in entry.placements for candidate in placed.candidates}
        objections = self._checker.objections(actions, snapshot, entry.channel)
        if not objections:
            return Checked(entry, ())
        both = disagreements(entry.placements, objections, vetoes, self._texts.index)
        placements = tuple(answers.unobjected(placed, objections) for placed in entry.placements)
        told = msgspec.structs.replace(entry, placements=placements, objections=both)
        return Checked(told, tuple(sorted(set(objections.values()))))

    def commit(
        self,
        entry: Entry,
        request: Request,
        read_ms: int = 0,
        asked: str = "",
        consent: bytes = b"",
        memory: Memory = NOTHING_REMEMBERED,
        not_after_ms: int = 0,
    ) -> Commit:
        """Return what the store must do at once for a plan that was made of what was read at `read_ms`.

        `asked` is the identity of the customer that was asked about, where that is another id; `consent` and `memory`
        are what was read. Where the strategy looks at no memory, it may have changed by then. After `not_after_ms`, by
        the store's clock, nobody waits for it any more; 0 stands for never.
        """
        return Commit(
            entry.customer,
            entry.decision_id,
            self.digest(request),
            entry.at_ms,
            plan.pack(entry),
            self._policy.candidates(entry),
            read_ms,
            entry.takes,
            asked,
            consent,
            gives=self._policy.gives(entry),
            memory=memory.version if self._policy.remembers else None,
            channel=entry.channel if self._tells_contacts else "",
            shared=self._policy.shared(entry),
            not_after_ms=not_after_ms,
            counting=self.adapting.counting(entry) if self.adapting else None,
        )

    def digest(self, request: Request) -> bytes:
        """Return 8 bytes that tell another request under the same idempotency key; empty where there is no key.

        Fields count by their ids, so that a request is the same under a strategy that only has more of them.
        """
        if not request.idempotency_key:
            return b""
        return digest_of(request, self.strategy.schema)

    def answer(
        self,
        committed: Committed,
        planned: Entry | None,
        explained: Explanation | None = None,
        values: Sequence[Scalar | None] = (),
    ) -> Decision:
        """Return the decision that was committed: the one just planned, or the one stored before under the same id.

        A decision of an earlier strategy keeps its actions and reasons, in the words that this strategy has for them;
        those that it lacks have none.
        One that was stored before is worded for `values`, which `known_now` tells; without them, for nobody.
        """
        if planned is None or committed.repeated:
            entry = plan.unpack(committed.entry)
        else:
            entry, values = planned, planned.values
        return Decision(
            decision_id=entry.decision_id,
            answers=answers.chosen(entry, committed, self._texts, self._policy.reason, values),
            strategy=entry.strategy,
            model=entry.model,
            at_ms=entry.at_ms,
            degraded=entry.degraded,
            explanation=explained,
        )

    def context_from(self, engine: Engine, context: Mapping[int, Scalar]) -> dict[int, Scalar]:
        """Return what came with a request to another version as this one counts its fields, of those that are alike."""
        fields, index = engine.strategy.schema.fields, self.strategy.schema.index
        own = self.strategy.schema.fields
        found = {index[fields[place].id]: place for place in context if fields[place].id in index}
        return {place: context[told] for place, told in found.items() if own[place].type is fields[told].type}

    def known_now(self, known: Known, request: Request) -> tuple[Scalar | None, ...]:
        """Return the values that words may be filled from, by the consent of now; none where no words depend on any."""
        return self.see(known, request).values if self._texts.vary else ()

    def explain(self, snapshot: Snapshot, judged: Judged, scores: Scores, request: Request) -> Explanation:
        """Return the fate of every action and every field that the consent allows."""
        return self.explainer.fates(snapshot, judged, scores, request)

    @cached_property
    def explainer(self) -> Explainer:
        """What explains the decisions of this version; made when it is first asked."""
        return Explainer(self.strategy, self._texts, self._policy, self._sight)

    def counted(self, request: Request, at_ms: int, said: Iterable[tuple[str, str]]) -> tuple[Counter, ...]:
        """Return the counters of the person that saying actions at placements used; of what it lacks, none."""
        index, counters = self._texts.index, self._policy.caps.all_counters
        here = [(placement, index[action]) for placement, action in said if action in index]
        found = [counters(request.channel, placement, action, at_ms) for placement, action in here]
        return tuple(counter for ones in found for counter in ones)

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

    def revisit(
        self, issued: Issued, snapshot: Snapshot, off: Switched = NOTHING_OFF
    ) -> tuple[tuple[Standing, ...], tuple[str, ...]]:
        """Return what forbids now what was decided then, and the rules over which the independent check disagrees.

        Caps are left out: the contact was counted when it was decided. So is the stock: units are held for a decision.
        """
        vetoes = (*self._judge.judge(snapshot, issued.channel).vetoes, *self._policy.held(snapshot, issued.channel))
        kept = [action for action in issued.actions if action in self._texts.index]
        found = self._checker.objections(kept, snapshot, issued.channel)
        objections = {action: rule for action, rule in found.items() if rule not in (STOCK, SWITCH)}
        same, lost = issued.strategy == self.strategy.version, self._sight.lost(issued.level, snapshot.level)

        def against(placement: str, action: str) -> Iterable[Reason]:
            if not self._texts.says(issued.channel, placement, action):
                return (GONE,)
            named = self._texts.personal(issued.channel, placement, action)
            words = worded_without_consent(same, lost, named)
            found = reasons_against(1 << self._texts.index[action], vetoes, objections.get(action))
            if is_off(off, action):
                found.insert(0, OFF)
            return [words, *found] if words else found

        placements = standings(issued, against)
        return placements, unforeseen(objections, placements)

    def safe(self, request: Request, why: Reason, at_ms: int, off: Switched = NOTHING_OFF) -> Decision:
        """Return the safe answer, as degraded: a neutral greeting where one fits and is not `off`, else nothing."""
        return self.ladder.safe(request, why, at_ms, off, self.model_version)

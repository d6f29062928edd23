"""Prove everything that a strategy promises, and tell what else is odd about it.

The solver is imported only where something is not proven yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from service.core.invariants import Form, Invariant, Named
from service.core.ruling import judging
from service.core.strategy import Strategy
from service.proving.kept import NOTHING_KEPT, Kept
from service.proving.parts import Parts
from service.proving.proofs import Found, Proof, Report, Ruling
from service.proving.standard import CLOSED, standard

if TYPE_CHECKING:
    from service.proving.asking import Promises

TIMEOUT_S = 5.0
_QUICK_S = 0.5
"""So long a question may take in the first round, so that no promise waits for a dear one."""
_CLOSED = Named(CLOSED, Form.WITHOUT_CONSENT)  # it stands for itself in digests; what it asks is about every rule


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be proven: the promises of these ids (empty: all), within so many seconds a question and a promise,
    and what is odd.
    """

    only: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S
    findings: bool = True
    promise_s: float = inf


def promises_of(strategy: Strategy, only: Sequence[str] = ()) -> tuple[Invariant, ...]:
    """Return what a strategy promises: what all do and what it declares, or only these ids."""
    found = (*standard(strategy), _CLOSED, *strategy.invariants)
    return tuple(one for one in found if not only or one.written.id in only)


def unproven(strategy: Strategy, kept: Kept) -> bool:
    """Tell whether something is not known to be proven of a strategy that declares invariants."""
    if not strategy.invariants:
        return False
    parts = Parts(strategy)
    return not all(kept.proven(parts.digest(one)) for one in promises_of(strategy))


def prove(
    strategy: Strategy,
    wanted: Wanted = Wanted(),
    kept: Kept = NOTHING_KEPT,
    on: Callable[[Proof], None] = lambda proof: None,
) -> Report:
    """Return the proof of each promise and, if they are wanted, the findings; `on` is told each as soon as it is there.

    The promises of which it cannot be told at once come last, with all the time that is wanted.
    """
    began = monotonic()
    work, promises = _Work(strategy, wanted, kept), promises_of(strategy, wanted.only)
    proofs: dict[str, Proof] = {}
    rounds = (min(wanted.timeout_s, _QUICK_S), wanted.timeout_s)
    for timeout_s in dict.fromkeys(rounds):
        for promise in promises:
            if promise.written.id in proofs:
                continue
            proof = work.proof(promise, timeout_s)
            if proof.ruling is not Ruling.UNKNOWN or timeout_s == wanted.timeout_s:
                proofs[promise.written.id] = proof
                on(proof)
    told = tuple(proofs[promise.written.id] for promise in promises)
    found = work.findings() if wanted.findings and not wanted.only else ()
    return Report(strategy.version, told, found, monotonic() - began, work.known)


class _Work:
    """Proves what is not known, with one solver for all of it."""

    def __init__(self, strategy: Strategy, wanted: Wanted, kept: Kept) -> None:
        self.known = 0
        self._strategy, self._wanted, self._kept = strategy, wanted, kept
        self._parts = Parts(strategy)
        self._promises: Promises | None = None

    def proof(self, promise: Invariant, timeout_s: float) -> Proof:
        digest, written = self._parts.digest(promise), promise.written
        if self._kept.proven(digest):
            self.known += 1
            return Proof(written.id, written.says, written.file, written.line, Ruling.PROVEN)
        found = self._proven(promise, timeout_s)
        if found.ruling is Ruling.PROVEN:
            self._kept.keep(digest)
        return found

    def findings(self) -> tuple[Found, ...]:
        digest = self._parts.digest(None)
        found = self._kept.findings(digest)
        if found is not None:
            self.known += 1
            return tuple(_placed(one, self._strategy) for one in found)
        found = self._solving(self._wanted.timeout_s).findings()
        if all(one.certain for one in found):
            self._kept.keep_findings(digest, found)
        return found

    def _proven(self, promise: Invariant, timeout_s: float) -> Proof:
        solving = self._solving(timeout_s)
        return solving.closed(CLOSED) if promise is _CLOSED else solving.prove(promise)

    def _solving(self, timeout_s: float) -> Promises:
        """Return what proves: with another time to think it is the same, and what it found out is not lost."""
        if self._promises is None:
            from service.proving.asking import Promises

            asked = promises_of(self._strategy, self._wanted.only)
            self._promises = Promises(self._strategy, asked, timeout_s)
        quick = timeout_s < self._wanted.timeout_s
        most_s = self._wanted.promise_s
        self._promises.takes(timeout_s, min(2 * _QUICK_S, most_s) if quick else most_s)
        return self._promises


def _placed(found: Found, strategy: Strategy) -> Found:
    """Return a finding at the place where its rule stands now."""
    if not found.file:
        return found
    rules = {rule.id: rule.when for rule in judging(strategy)} | {one.id: one.when for one in strategy.weights}
    when = rules.get(found.about[0])
    return found if when is None else msgspec.structs.replace(found, file=when.file, line=when.line)

"""What this process counts about its own work, for metrics and for the status that an operator asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

MOST_LABELS = 500
"""How many labels one count tells apart; what comes after these is counted under `OTHER`."""

OTHER = "other"
"""The label of what has too many labels, and of what does not look like an id."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Count:
    """A count that only grows: its name, what its label is (empty: it has none), its unit and what it says.

    Of the labels that are `known` beforehand metrics tell a nought as long as there is nothing more.
    """

    name: str
    label: str
    unit: str
    says: str
    known: tuple[str, ...] = ()


COUNTED = (
    Count(
        "decisions",
        "outcome",
        "{decision}",
        "Decisions by what came of them: said, suppressed or degraded.",
        ("said", "suppressed", "degraded"),
    ),
    Count("suppressions", "rule", "{placement}", "Placements that say nothing, by the rule, or the kind of reason."),
    Count(
        "degraded",
        "reason",
        "{decision}",
        "Answers that something was missing for, by the kind of reason.",
        ("store_unavailable",),
    ),
    Count(
        "store.refused",
        "kind",
        "{command}",
        "Commands that the store refused, by the kind of its error.",
        ("oom", "misconf", "readonly"),
    ),
    Count(
        "rungs",
        "rung",
        "{decision}",
        "Decisions by the rung of the ladder: full, stale_scores, rules_and_priors or request_only.",
        ("full", "stale_scores", "rules_and_priors", "request_only"),
    ),
    Count(
        "store.breaker",
        "what",
        "{event}",
        "The breaker before the store: opened, closed, probed; and refused for calls that failed at once.",
        ("opened", "closed", "probed", "refused"),
    ),
    Count(
        "store.hedged",
        "what",
        "{read}",
        "Reads that were late and asked again over another connection: hedged, and won where that was first.",
        ("hedged", "won"),
    ),
    Count("refused", "code", "{request}", "Requests for a decision that got none, by the status that they ended with."),
    Count(
        "telemetry.spans",
        "fate",
        "{span}",
        "Traced decisions: sent, lost, dropped, or unheeded though asked for.",
        ("sent", "lost", "dropped", "unheeded"),
    ),
    Count("check.disagreed", "rule", "{candidate}", "Candidates that only the independent check forbade, by its rule."),
    Count("caps.bound", "cap", "{candidate}", "Candidates that did not fit a cap any more at commit, by the cap."),
    Count("memory.conflicts", "", "{decision}", "Decisions made again because what is remembered had changed.", ("",)),
    Count("switch.off", "action", "{candidate}", "Candidates that were switched off between reading and commit."),
    Count(
        "strategy.reloaded",
        "what",
        "{version}",
        "Taken into service: strategy, model or challenger.",
        ("strategy", "model"),
    ),
    Count(
        "strategy.refused",
        "what",
        "{version}",
        "Versions that were refused while the last good one went on.",
        ("strategy", "model"),
    ),
    Count("shadow", "outcome", "{decision}", "Challengers asked beside a decision: same, other or failed."),
    Count(
        "triggers",
        "fate",
        "{moment}",
        "Moments of triggers that were due: sent, put off till later, ended as gone, late or suppressed, or dead.",
        ("sent", "later", "gone", "late", "suppressed", "dead"),
    ),
    Count("strategy.rules_gone", "rule", "{rule}", "Rules that a version which was taken into service did not have."),
)
"""All counts that there are."""


class Counts:
    """The counts of one process. They may be read from any thread; each label is added to from one thread alone."""

    def __init__(self) -> None:
        self._counted: dict[str, dict[str, int]] = {count.name: {} for count in COUNTED}

    def add(self, name: str, label: str = "", times: int = 1) -> None:
        """Count something; raise KeyError for what is not among `COUNTED`."""
        counted = self._counted[name]
        if label not in counted:
            label = _bounded(label, counted)
        counted[label] = counted.get(label, 0) + times

    def told(self) -> Mapping[str, Mapping[str, int]]:
        """Return every count by name, with its numbers by label (an empty label where it has none); a copy."""
        return {name: counted.copy() for name, counted in self._counted.items()}

    def observe(self, meter: Meter) -> None:
        """Let an OpenTelemetry meter read the counts, as observable counters named `tact.` and the count's name."""
        for count in COUNTED:
            meter.create_observable_counter(f"tact.{count.name}", [self._reading(count)], count.unit, count.says)

    def _reading(self, count: Count) -> _Reading:
        return _Reading(count.label, self._counted[count.name])


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a meter calls when it collects."""

    label: str
    counted: dict[str, int]

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:
        """Return the numbers of now, one for each label."""
        from opentelemetry.metrics import Observation  # slow to import, and settings are read before it

        return [
            Observation(number, {self.label: label} if self.label else {})
            for label, number in self.counted.copy().items()
        ]


def _bounded(label: str, counted: Mapping[str, int]) -> str:
    if label == "" or (len(counted) < MOST_LABELS and _ID.fullmatch(label)):
        return label
    return OTHER

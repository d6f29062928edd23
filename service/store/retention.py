"""How long the store keeps what."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Self

_SPAN = re.compile(r"([1-9][0-9]{0,5})([dh])")
_LONGEST = timedelta(days=36_525)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the store keeps what. Times run from the last write, for streams from each entry. An event
    or a commit renews the time of a context only when a thousandth of it has passed, or when it would end before what
    the commit counts has had its time; and so the log's, which never ends before its decisions. Every sixteenth commit,
    and each that renews the log, removes older entries.

    `context` must be at least the longest cap, cool-off and promise. `decision` bounds both how long a request can be
    repeated and how long its outcomes can come in; `log` must be at least as long.
    """

    context: timedelta = timedelta(days=730)
    decision: timedelta = timedelta(days=14)
    log: timedelta = timedelta(days=90)
    outcomes: timedelta = timedelta(days=90)
    consent_history: timedelta = timedelta(days=3652)
    supply: timedelta = timedelta(days=30)
    demand: timedelta = timedelta(days=2)

    def __post_init__(self) -> None:
        if self.log < self.decision:
            raise ValueError(f"the log is kept for {self.log}, shorter than decisions can be repeated: {self.decision}")
        if self.outcomes < self.decision:
            raise ValueError(f"outcomes are kept for {self.outcomes}, shorter than they can come in: {self.decision}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind=time, ...`, such as `log=30d,demand=12h`, over the defaults; raise ValueError in words."""
        names = {field.name.replace("_", "-"): field.name for field in fields(cls)}
        spans: dict[str, timedelta] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, span = part.partition("=")
            found = _SPAN.fullmatch(span)
            if name not in names or found is None:
                raise ValueError(f"write KIND=TIME with a time such as 30d or 12h, and a kind of {', '.join(names)}")
            spans[names[name]] = timedelta(**{{"d": "days", "h": "hours"}[found[2]]: int(found[1])})
            if spans[names[name]] > _LONGEST:
                raise ValueError("keep nothing for longer than 100 years (36525d)")
        return cls(**spans)


def milliseconds(span: timedelta) -> int:
    """Return a span in whole milliseconds, as the store counts."""
    return span // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of keys: how they look, what they hold, and what of `Retention` bounds their life.

    That is empty for ever, and for what lives for so many `seconds` whatever is set.

    `about_people` says whether their name or value tells of one customer: then an erasure removes it.
    """

    pattern: str
    holds: str
    kept: str
    about_people: bool
    seconds: int = 0

    def names(self, key: bytes) -> bool:
        """Tell whether a key is of this kind."""
        return re.fullmatch(self.pattern.encode(), key, re.DOTALL) is not None


_BUCKET = r"tact:\{[0-9a-f]{3}\}:"
_SHELF = r"tact:\{s:[^{}]+\}:"

KINDS: tuple[Kind, ...] = (
    Kind(f"{_BUCKET}c:.+", "what is known of a customer", "context", True),
    Kind(f"{_BUCKET}e:.+", "digests of event ids", "context", True),
    Kind(f"{_BUCKET}h:.+", "changes of a consent", "consent_history", True),
    Kind(f"{_BUCKET}j:.+", "what happened to a customer: types and moments", "context", True),
    Kind(f"{_BUCKET}ids", "the ids of customers of whom anything is kept", "context", True),
    Kind(f"{_BUCKET}l:.+", "what was written while somebody listens", "", True, seconds=300),
    Kind(f"{_BUCKET}n", "customers whose predictions are due", "context", True),
    Kind(f"{_BUCKET}log", "decisions", "log", True),
    Kind(f"{_BUCKET}lh", "the link of the newest decision", "log", False),
    Kind(f"{_BUCKET}lg", "the links of erased decisions", "log", False),
    Kind(f"{_BUCKET}d:.+", "where a decision stands in the log, and the alias that was asked about", "decision", True),
    Kind(f"{_BUCKET}out", "outcomes in the order of arrival", "outcomes", True),
    Kind(f"{_BUCKET}oh", "the link of the newest outcome", "outcomes", False),
    Kind(f"{_BUCKET}og", "the links of erased outcomes", "outcomes", False),
    Kind(f"{_BUCKET}o:.+", "outcomes beside their decision", "decision", True),
    Kind(f"{_BUCKET}g:.+", "what an erasure has not finished with", "decision", True),
    Kind(f"{_BUCKET}t:.+", "what triggers wait for", "context", True),
    Kind(f"{_BUCKET}(due|dead):.+", "moments of triggers that are due, or that nobody finished", "context", True),
    Kind(f"{_BUCKET}q", "what was counted for what is learned between trainings", "log", False),
    Kind(f"{_BUCKET}x", "keyed digests of erased customers", "", False),
    Kind(f"{_BUCKET}w", "what is switched off", "", False),
    Kind(r"tact:\{switch\}:(off|now)", "what is switched off by whom, and what is in force", "", False),
    Kind(
        r"tact:\{switch\}:(aud|ah)", "who changed what: names and hosts of operators, digests of the erased", "", False
    ),
    Kind(r"tact:\{erasure\}:key", "a fingerprint of the erasure key", "", False),
    Kind(r"tact:\{fields\}:purposes", "what fields are kept for", "", False),
    Kind(r"tact:\{words\}:.+", "fields and texts of a strategy", "log", False),
    Kind(r"tact:\{archive\}:(strategy|model):.+", "strategies and models as they decided", "log", False),
    Kind(r"tact:\{archive\}:store", "which store this is, for its archive", "", False),
    Kind(r"tact:\{h:[0-9a-f]{32}\}:uses", "what households were told", "context", False),
    Kind(f"{_SHELF}(stock|units|held|accepted)", "supply of an item at a place", "supply", False),
    Kind(r"tact:\{demand\}:(log|n|p:.+)", "what was wanted", "demand", False),
)
"""Every key that there is; docs/rights.md shows the same. What is kept for ever is the digests of the erased, for they
must stay out, what tells whether the key and the store are still the same, which purpose a field is kept for, and what
operators did."""

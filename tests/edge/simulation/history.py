"""What callers saw: one record for each call, with its beginning, its end and what it ended with."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any


@dataclass(slots=True)
class Call:
    """One call of one caller. Times are virtual seconds; `ended` is unset while nobody has heard of its end.

    `told` is what was asked, by name; `answer` what came back, None where nothing did; `failed` the error's name, or
    "cancelled"; `left` says that the caller hung up or the process died, which nothing else excuses.
    """

    kind: str
    process: str
    began: float
    told: dict[str, Any]
    ended: float | None = None
    answer: dict[str, Any] | None = None
    failed: str = ""
    left: bool = False

    @property
    def acked(self) -> bool:
        """Whether it was answered."""
        return self.answer is not None

    def line(self) -> str:
        """Return it as one line of a trace."""
        end = "" if self.ended is None else f"{self.ended:.6f}"
        return f"{self.began:.6f} {end} {self.process} {self.kind} {self.told} {self.failed or self.answer}"


@dataclass(slots=True)
class History:
    """All calls in the order of their beginning, and what the store held in the end.

    `calm` says that nothing was ever wrong in this world; `skewed` that the store's clock was set; `lost` are the times
    of which a fail-over forgot what was written; `broken` what must never be, whoever sees it.
    """

    seed: int
    durable: bool = False
    promises: bool = False
    calm: bool = False
    skewed: bool = False
    calls: list[Call] = field(default_factory=list)
    lost: list[tuple[float, float]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Call]:
        """Return the calls of a kind."""
        return [call for call in self.calls if call.kind == kind]

    def trace(self) -> list[str]:
        """Return everything that happened as lines."""
        final = [f"final {name} {value}" for name, value in sorted(self.final.items())]
        return [call.line() for call in self.calls] + final + [f"lost {span}" for span in self.lost] + self.broken

    def digest(self) -> str:
        """Return the hash of the trace: the same seed has the same one, always."""
        return sha256("\n".join(self.trace()).encode()).hexdigest()

    def kept(self, call: Call) -> bool:
        """Tell whether what an answered call wrote must still be there: no fail-over was let forget it.

        With replicas that confirm nothing may be forgotten; without, what was written since the replica fell behind.
        """
        assert call.ended is not None
        return self.durable or not any(call.began <= end and call.ended >= begin for begin, end in self.lost)

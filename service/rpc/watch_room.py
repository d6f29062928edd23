"""How many may watch at once: in this process, in one caller's name, and one customer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import TooManyWatches

LATER_S = 5.0


@dataclass(frozen=True, slots=True)
class Most:
    """The most watches at once. A caller with one customer, such as a page of theirs, has fewer."""

    here: int = 4_000
    caller: int = 2_000
    own_caller: int = 8
    customer: int = 32


class WatchRoom:
    """Counts the watches of one process."""

    def __init__(self, most: Most = Most()) -> None:
        self._most = most
        self._callers: Counter[str] = Counter()
        self._customers: Counter[str] = Counter()
        self.taken = 0

    @contextmanager
    def place(self, caller: str, customer: str, *, own: bool) -> Iterator[None]:
        """Take a place for as long as the watch lasts; raise `TooManyWatches` where there is none."""
        most_of_caller = self._most.own_caller if own else self._most.caller
        full = self.taken >= self._most.here or self._callers[caller] >= most_of_caller
        if full or self._customers[customer] >= self._most.customer:
            raise TooManyWatches(LATER_S)
        self._add(caller, customer, 1)
        try:
            yield
        finally:
            self._add(caller, customer, -1)

    def _add(self, caller: str, customer: str, one: int) -> None:
        self.taken += one
        for counter, name in ((self._callers, caller), (self._customers, customer)):
            counter[name] += one
            if not counter[name]:
                del counter[name]

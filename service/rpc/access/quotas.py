"""Quotas: how many calls a second and how many different customers an hour each identity may ask for.

Kept in this process: each worker counts by itself, and a start begins anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

from service.errors import OverQuota
from service.rpc.access.who import Caller

HOUR_S = 3600.0
BURST_S = 2.0
"""For how long calls that were not made may be saved up."""
MOST_IDENTITIES = 50_000
MOST_ASKING = 10_000
"""Of how many identities it is remembered how much they called, and of how many about whom they asked."""
_TRIES = 8
MOST_CUSTOMERS = 100_000
LONGEST_WAIT_S = 300.0
"""Whoever has to wait longer is told to come back by then."""


class Quotas:
    """Counts by identity; `clock_s` only goes forward.

    Nobody is forgotten who has spent anything that still counts: where no more fit, newcomers wait.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._paid: OrderedDict[str, float] = OrderedDict()
        """Until when (s) the calls of an identity are paid for; whoever called last stands last."""
        self._asked: OrderedDict[str, OrderedDict[bytes, float]] = OrderedDict()
        """The customers of an identity by when (s) they were asked about last, each as 8 bytes of a digest."""

    def charge(self, caller: Caller) -> None:
        """Count one call; raise `OverQuota` where it is one too many."""
        if caller.calls_per_s is None:
            return
        now_s, each_s = self._clock_s(), 1.0 / caller.calls_per_s
        until_s = self._paid.get(caller.identity)
        if until_s is None:
            self._make_room(now_s)
            until_s = now_s
        saved_s = max(BURST_S, each_s) - each_s
        over_s = until_s - saved_s - now_s
        if over_s > 0:
            raise OverQuota(min(LONGEST_WAIT_S, over_s))
        self._paid[caller.identity] = max(until_s, now_s) + each_s
        self._paid.move_to_end(caller.identity)

    def add(self, caller: Caller, calls: int) -> None:
        """Count calls more that came with one that was counted: a batch is taken whole, and paid for afterwards."""
        if caller.calls_per_s is not None and calls > 0 and caller.identity in self._paid:
            self._paid[caller.identity] += calls / caller.calls_per_s

    def charge_customer(self, caller: Caller, customer: str) -> None:
        """Note that a customer is asked about; raise `OverQuota` where it is one too many this hour."""
        most = caller.customers_per_hour
        if most is None:
            return
        now_s = self._clock_s()
        asked = self._asked_by(caller.identity, now_s)
        while asked and next(iter(asked.values())) <= now_s - HOUR_S:
            asked.popitem(last=False)
        name = blake2b(customer.encode(errors="surrogatepass"), digest_size=8).digest()
        if name not in asked and len(asked) >= most:
            raise OverQuota(min(LONGEST_WAIT_S, next(iter(asked.values())) + HOUR_S - now_s))
        asked[name] = now_s
        asked.move_to_end(name)

    def _make_room(self, now_s: float) -> None:
        """Forget somebody whose calls are paid for; raise `OverQuota` where nobody is found soon."""
        if len(self._paid) < MOST_IDENTITIES:
            return
        for _ in range(_TRIES):
            identity, until_s = self._paid.popitem(last=False)
            if until_s <= now_s:
                return
            self._paid[identity] = until_s
        raise OverQuota(BURST_S)

    def _asked_by(self, identity: str, now_s: float) -> OrderedDict[bytes, float]:
        asked = self._asked.get(identity)
        if asked is None:
            if len(self._asked) >= MOST_ASKING:
                oldest, last_s = next((one, next(reversed(names.values()), 0.0)) for one, names in self._asked.items())
                if last_s > now_s - HOUR_S:
                    raise OverQuota(LONGEST_WAIT_S)
                del self._asked[oldest]
            asked = self._asked[identity] = OrderedDict()
        self._asked.move_to_end(identity)
        return asked

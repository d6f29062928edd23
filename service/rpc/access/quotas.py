"""Quotas: how many calls a second and how many different customers an hour each identity may ask for.

Kept in this process: each worker counts by itself, and a start begins anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from service.errors import OverQuota
from service.rpc.access.who import Caller

HOUR_S = 3600.0
BURST_S = 2.0
"""For how long calls that were not made may be saved up."""
MOST_IDENTITIES = 10_000
MOST_CUSTOMERS = 100_000
LONGEST_WAIT_S = 300.0
"""Whoever has to wait longer is told to come back by then."""


@dataclass(slots=True)
class _Spent:
    """What one identity has spent: until when (s) its calls are paid for, and its customers by when they were last
    asked about, the longest ago first, each as 8 bytes of a digest.
    """

    until_s: float = 0.0
    customers: OrderedDict[bytes, float] = field(default_factory=OrderedDict)


class Quotas:
    """Counts by identity; `clock_s` only goes forward. Whoever was not seen for the longest is forgotten first."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._spent: OrderedDict[str, _Spent] = OrderedDict()

    def charge(self, caller: Caller) -> None:
        """Count one call; raise `OverQuota` where it is one too many."""
        if caller.calls_per_s is None:
            return
        spent, now_s, each_s = self._of(caller), self._clock_s(), 1.0 / caller.calls_per_s
        saved_s = max(BURST_S, each_s) - each_s
        over_s = spent.until_s - saved_s - now_s
        if over_s > 0:
            raise OverQuota(over_s)
        spent.until_s = max(spent.until_s, now_s) + each_s

    def charge_customer(self, caller: Caller, customer: str) -> None:
        """Note that a customer is asked about; raise `OverQuota` where it is one too many this hour."""
        most = caller.customers_per_hour
        if most is None:
            return
        asked, now_s = self._of(caller).customers, self._clock_s()
        while asked and next(iter(asked.values())) <= now_s - HOUR_S:
            asked.popitem(last=False)
        name = blake2b(customer.encode(errors="surrogatepass"), digest_size=8).digest()
        if name not in asked and len(asked) >= most:
            raise OverQuota(min(LONGEST_WAIT_S, next(iter(asked.values())) + HOUR_S - now_s))
        asked[name] = now_s
        asked.move_to_end(name)

    def _of(self, caller: Caller) -> _Spent:
        spent = self._spent.get(caller.identity)
        if spent is None:
            spent = self._spent[caller.identity] = _Spent()
            if len(self._spent) > MOST_IDENTITIES:
                self._spent.popitem(last=False)
        else:
            self._spent.move_to_end(caller.identity)
        return spent

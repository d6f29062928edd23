"""`tact serve` with a fault put in: a store that fails with what it was asked, for customers whose id says so."""

from __future__ import annotations

import sys
from typing import NoReturn

from service.cli.program import run
from service.decide import Decider
from service.store.consents import ConsentStore
from service.store.journeys import JourneyStore
from service.store.moments import MomentStore

SIGN = "internal"


class Unforeseen(Exception):
    """An error that nobody expects, whose text tells everything."""


def fail(*told: object) -> NoReturn:
    """Fail with everything that is known."""
    raise Unforeseen(f"{told}")


def put_in(kind: type, name: str) -> None:
    """Let a method fail where its first argument names a customer with the sign."""
    real = getattr(kind, name)

    async def failing(self: object, asked: object, *more: object, **named: object) -> object:
        if SIGN in str(getattr(asked, "customer", asked)):
            fail(asked, more, named)
        return await real(self, asked, *more, **named)

    setattr(kind, name, failing)


if __name__ == "__main__":
    for kind, name in (
        (Decider, "decide"),
        (ConsentStore, "set_consent"),
        (ConsentStore, "agreed"),
        (JourneyStore, "is_kept"),
        (JourneyStore, "happened"),
        (MomentStore, "end"),
        (MomentStore, "release"),
    ):
        put_in(kind, name)
    sys.exit(run(sys.argv[1:]))

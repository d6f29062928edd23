"""Demand: what one process sees wanted, added up and told to the store each second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from service.core.supplies import MOST_COUNTED, Wanted, Wanting
from service.errors import StoreError

log = logging.getLogger(__name__)

TELL_S = 1.0
TELL_WITHIN_S = 1.0
MOST_ROWS = 1_000
MOST_WANTED = 20_000


class Demands(Protocol):
    """Keeps what was wanted. Raises StoreError when the store fails or is too slow."""

    async def tell(self, process: str, number: int, wanted: Sequence[Wanted], deadline_s: float) -> None:
        """Add what one process counted; a number that it has told before changes nothing."""
        ...


class Tally:
    """Adds up what is wanted until it is told. `process` names this one among all that tell.

    Of more than 20,000 items, places and kinds between two successful tellings the others are not counted.
    """

    def __init__(self, demands: Demands, process: str, tell_s: float = TELL_S) -> None:
        self._demands = demands
        self._process = process
        self._tell_s = tell_s
        self._wanted: dict[tuple[str, str, Wanting], tuple[int, int]] = {}
        self._untold: list[Wanted] = []
        self._number = 0
        self._away = False

    def add(self, item: str, place: str, kind: Wanting, units: int) -> None:
        """Count one event, decision or acceptance of so many units."""
        key = item, place, kind
        count, sum_of_units = self._wanted.get(key, (0, 0))
        if count or len(self._wanted) < MOST_WANTED:
            self._wanted[key] = (count + 1, min(sum_of_units + units, MOST_COUNTED))

    async def keep_telling(self) -> None:
        """Tell what was counted again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._tell_s)
            await self.tell()

    async def tell(self) -> None:
        """Tell all that was counted so far; what cannot be told now is told the next time, and counts once."""
        try:
            while self._untold or self._wanted:
                await self._tell_some()
            self._away = False
        except StoreError as error:
            if not self._away:
                log.warning("the demand cannot be told: %s", type(error).__name__)
            self._away = True
        except Exception as error:  # noqa: BLE001 - rows that can never be told must not keep all others from being told
            log.error("%d rows of the demand are lost: %s", len(self._untold), type(error).__name__)
            self._untold = []

    async def _tell_some(self) -> None:
        """Tell some rows under a number of their own; they keep it until the store has them."""
        if not self._untold:
            some = list(self._wanted)[:MOST_ROWS]
            self._untold = [Wanted(*key, *self._wanted.pop(key)) for key in some]
            self._number += 1
        await self._demands.tell(self._process, self._number, self._untold, TELL_WITHIN_S)
        self._untold = []

"""Customers as persons: who asks about an alias, or about somebody with aliases, sees the one person behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from models.fold_merge import Fields, merged_groups
from service.core.decision import Commit, Committed, Known, Linked
from service.store import keys
from service.store.customers import CustomerStore
from service.store.identities import IdentityStore, Unsettled
from service.store.replies import committed_of

_ATTEMPTS = 8


class People:
    """Reads persons and commits decisions about them; the same calls as `CustomerStore`, which knows single identities.

    A customer who is linked with nobody costs no more than there. An alias costs a second call, the aliases of a person
    one more for all of them together. `fields` are those that the store keeps, by key: they say how states merge.
    """

    def __init__(self, customers: CustomerStore, identities: IdentityStore, fields: Fields) -> None:
        self._customers = customers
        self._identities = identities
        self._fields = fields

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision: always the same for a customer and a key, at random (12 bytes) where the key is empty."""
        if idempotency_key:
            return keys.repeatable_decision_id(customer, idempotency_key)
        return keys.fresh_decision_id(customer, entropy)

    def read(
        self, customer: str, decision_id: str | None, deadline_s: float | None = None, idempotency_key: str = ""
    ) -> Coroutine[Any, Any, Known]:
        """Return what the consent of the person behind a customer allows to be known of all their identities.

        With a decision id, also the decision if it was made before; with the idempotency key, also if that was under
        another identity of the person. `Known.customer` is the person where that is another id.
        """
        return self._customers.read(customer, decision_id, deadline_s, idempotency_key, self._whole)

    async def context(self, customer: str, deadline_s: float | None = None) -> Known:
        """Return what the person's consent allows to be known."""
        return await self.read(customer, None, deadline_s)

    def commit(self, commit: Commit, deadline_s: float | None = None) -> Coroutine[Any, Any, Committed]:
        """Take, count and log at once, for the person; raise `CustomerLinked` when that is somebody else by now."""
        return self._customers.commit(commit, deadline_s)

    def _whole(
        self, customer: str, known: Known, linked: Linked, key: str, deadline_s: float | None
    ) -> Coroutine[Any, Any, Known]:
        return _Reading(self, customer, key, deadline_s).person(known, linked)


class _Reading:
    """One reading of one person, over several identities, within the time of one call."""

    def __init__(self, people: People, asked: str, key: str, deadline_s: float | None) -> None:
        self._customers = people._customers
        self._identities = people._identities
        self._fields = people._fields
        self._asked = asked
        self._key = key
        self._ends = None if deadline_s is None else asyncio.get_running_loop().time() + deadline_s

    async def person(self, known: Known, linked: Linked) -> Known:
        """Return the person behind the identity that was asked about, of which this is known."""
        for _ in range(_ATTEMPTS):
            if not (linked.person or linked.leaving):
                return await self._whole(self._asked, known, linked)
            if linked.person:
                found = await self._customers.read(linked.person, self._decision(linked.person), self._left_s())
                if found.linked and self._asked in (alias for alias, _ in found.linked.aliases):
                    return await self._whole(linked.person, found, found.linked)
            await self._identities.settle(self._asked, linked, self._left_s())
            known = await self._customers.read(self._asked, self._decision(self._asked), self._left_s())
            if known.linked is None or known.decided is not None:
                return known
            linked = known.linked
        raise Unsettled("The identities of a customer do not settle.")

    async def _whole(self, person: str, known: Known, linked: Linked) -> Known:
        """Return what is known of a person together with what is known of the aliases."""
        known = replace(known, customer=person, linked=None)
        if known.decided is not None or not linked.aliases:
            return known
        members = await asyncio.gather(*(self._member(person, *alias, linked.letters) for alias in linked.aliases))
        decided = next((replace(one, off=known.off) for _, one in members if one is not None), None)
        groups = [known.groups, *(groups for groups, _ in members)]
        return replace(known, groups=self._merged(linked.letters, groups), decided=decided)

    async def _member(
        self, person: str, alias: str, since: int, letters: str
    ) -> tuple[Mapping[str, bytes], Committed | None]:
        decision = None if alias == self._asked else self._decision(alias)
        found = await self._identities.member(person, alias, letters, decision, self._left_s())
        if found is None:
            await self._identities.forget(person, alias, since, self._left_s())
            return {}, None
        groups, decided = found
        return groups, committed_of(*decided[:4], repeated=True) if decided else None

    def _merged(self, letters: Iterable[str], identities: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        """Merge the groups; where one identity's cannot be read, all fields of that purpose are unknown."""
        merged = {}
        for letter in letters:
            groups = [known[letter] for known in identities if letter in known]
            try:
                merged[letter] = merged_groups(self._fields, groups) if len(groups) > 1 else groups[0]
            except (ValueError, IndexError):
                continue
        return merged

    def _decision(self, customer: str) -> str | None:
        return keys.repeatable_decision_id(customer, self._key) if self._key else None

    def _left_s(self) -> float | None:
        return None if self._ends is None else self._ends - asyncio.get_running_loop().time()

"""What the store knows of a customer, read for a decision, and the commit that ends one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import monotonic
from typing import TypeAlias

from service.core.decision import Commit, Committed, Known, Linked
from service.errors import CommitTooLate, ConsentChanged, CustomerErased, CustomerLinked, MemoryChanged, TactError
from service.store.calls import Calls
from service.store.connection import Reply, StoreReplied
from service.store.reading import Committing, Reading, commit_packer, read_packer
from service.store.replies import Replies, commit_reader, reply_reader
from service.store.retention import Retention, milliseconds
from service.store.suppression import Suppression

_REFUSALS: Mapping[str, Callable[[], TactError]] = {
    "ERASED": partial(CustomerErased, "the customer was erased"),
    "LINKED": partial(CustomerLinked, "the customer was linked or unlinked"),
    "CONSENT": partial(ConsentChanged, "the consent was replaced"),
    "LATE": partial(CommitTooLate, "nobody waits for the commit any more"),
    "MEMORY": partial(MemoryChanged, "more is remembered of the customer"),
}
"""What it means when the store refuses a commit. A table: every commit passes here."""

Whole: TypeAlias = Callable[[str, Known, Linked, str, float | None], Awaitable[Known]]
"""Finds the person behind an identity that was asked about; the idempotency key and the time left are the call's."""


class CustomerStore:
    """Read customers and commit decisions.

    `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the level of
    customers without a consent. Every method raises a `StoreError` when the store does not do what it is asked;
    whatever then was written or not, repeating the call is safe. `deadline_s` is the time that is left.
    """

    # Every decision comes here twice, so that each method is one coroutine that awaits the connection by itself.

    def __init__(
        self,
        calls: Calls,
        groups_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention,
        suppression: Suppression,
    ) -> None:
        self._calls = calls
        self._send, self._confirm = calls.send, calls.confirm
        self._erased = suppression.digest
        kept_ms = milliseconds(retention.context), milliseconds(retention.decision), milliseconds(retention.log)
        self._read_packed = read_packer(Reading.of(calls.functions.name("read"), groups_by_level, lowest))
        self._commit_packed = commit_packer(Committing.of(calls.functions.name("commit"), kept_ms))
        replies = Replies(calls, groups_by_level, lowest)
        self._known, self._committed = reply_reader(replies), commit_reader(replies)

    async def read(
        self,
        customer: str,
        decision_id: str | None,
        deadline_s: float | None = None,
        key: str = "",
        whole: Whole | None = None,
    ) -> Known:
        """Return what the customer's consent allows to be known, and the decision if it was made before.

        Where the customer is linked with others and was not decided for, what `whole` says is returned instead.
        """
        packed = self._read_packed(customer, self._erased(customer), decision_id)
        started, loads = monotonic(), self._calls.loads
        try:
            reply = await self._send(packed, deadline_s)
        except StoreReplied as error:
            reply = await self._calls.once_more(error, packed, deadline_s, started, loads)
        known = self._known(customer, reply)
        if known.decided is not None and self._calls.confirms:
            # The first answer may have been that nobody knows: this one is given when replicas have the decision.
            left_s = None if deadline_s is None else deadline_s - (monotonic() - started)
            known = self._known(customer, await self._confirm(packed, left_s))
        if whole is None or known.linked is None or known.decided is not None:
            return known
        left_s = None if deadline_s is None else started + deadline_s - monotonic()
        return await whole(customer, known, known.linked, key, left_s)

    async def commit(self, commit: Commit, deadline_s: float | None = None) -> Committed:
        """Take, count and log at once; under a decision id that was used before, return what was stored then.

        Raises `CustomerErased` or `CustomerLinked`, with nothing written, when the customer was erased since they were
        read, or is an alias now, or no longer the one behind the identity that was asked about. `CommitTooLate`, with
        nothing written either, after the moment until which somebody waits for it.
        """
        decision, packed = self._commit_packed(commit, self._erased(commit.customer))
        started, loads = monotonic(), self._calls.loads
        try:
            reply = await self._confirm(packed, deadline_s)
        except StoreReplied as error:
            reply = await self._committed_yet(error, packed, deadline_s, started, loads)
        return self._committed(commit, decision, reply)

    async def _committed_yet(
        self, error: StoreReplied, packed: bytes, deadline_s: float | None, started: float, loads: int
    ) -> Reply:
        """Commit once more where only the functions were missing, and say what it means where that is refused."""
        try:
            return await self._calls.once_more(error, packed, deadline_s, started, loads, self._confirm)
        except StoreReplied as last:
            if last.prefix not in _REFUSALS:
                raise
            raise _REFUSALS[last.prefix]() from None

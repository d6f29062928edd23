"""Watch the store: that it is there, is set as it must be, and may be used with this strategy."""

from __future__ import annotations

import asyncio
import logging
import traceback

from service.core.strategy import Strategy
from service.store.calls import StoreUnreadable
from service.store.connection import StoreError, StoreForbidden
from service.store.embedded import EmbeddedStore
from service.store.settings import StoreRefused, check_servers, server_runs
from service.store.store import Store
from service.store.way import Way
from service.switching import Switching

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


class StoreWatch:
    """Sees, as long as the service runs, that the store is there, is set as it must be and has the functions.

    Looking also opens connections again after an outage. A store that was restarted is checked anew. `until_refused`
    ends with the reason when the store turns out to be one that the service does not run on, or the embedded one dies.
    """

    def __init__(
        self,
        connections: Way,
        store: Store,
        embedded: EmbeddedStore | None,
        strategy: Strategy,
        switching: Switching,
        replicas: int = 0,
    ) -> None:
        self._refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.warnings: tuple[str, ...] = ()
        self._connections, self._store, self._replicas = connections, store, replicas
        self._embedded = embedded
        self._strategy = strategy
        self._switching = switching
        self.away = False
        self._checked = self._compared = self._unforeseen = ""
        self._watching: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Look once, and from then on; raise `StoreRefused` for a store that cannot be used."""
        try:
            await self._check()
        except StoreRefused:
            raise
        except StoreUnreadable as error:
            self.warnings = (str(error),)
        except StoreError as error:
            if isinstance(error, StoreForbidden):
                raise StoreRefused(f"{error} Mend the store's URL, or what it lets us do.") from None
            self.warnings = (f"{error} Until the store is back, every answer is a safe greeting and is flagged.",)
        self._watching = asyncio.create_task(self._watch())

    def follow(self, store: Store, strategy: Strategy) -> None:
        """Look after another version's words and purposes from now on; both are in the store already."""
        self._store, self._strategy = store, strategy

    async def until_refused(self) -> str:
        """Wait until the store turns out to be unusable, which it normally never does; return why."""
        return await asyncio.shield(self._refused)

    async def close(self) -> None:
        """Stop looking."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))

    async def _check(self) -> None:
        """See which run of the store answers; check its settings and give it the functions unless that was done.

        The erasure key is compared each time: another process may have erased the first customer since. So are the
        purposes of the fields: the store may have been emptied since, and a process with another strategy be the first.
        What is switched off is finished where another process died half way. That comes first: until then this process
        goes by what it knew, and what fails later, as writing to a store that is full, must not keep it from that.
        """
        servers = await self._connections.servers()
        found = await server_runs(servers)
        if found != self._checked:
            self.warnings = tuple(await check_servers(servers, self._replicas))
        await self._switching.look(anew=found != self._compared)
        self._compared = found
        if found != self._checked:
            await self._store.calls.load_functions()
            self._checked = found
        await self._store.purposes.claim()
        await self._store.rights.check_key()
        await self._store.words.keep(self._strategy)
        await self._store.archive.keep()
        await self._store.audit.note_in_force()

    async def _watch(self) -> None:
        self.away = not self._checked
        while not self._refused.done():
            await asyncio.sleep(LOOK_EVERY_S)
            if self._embedded is not None and not self._embedded.running:
                self._refused.set_result("The embedded store has ended by itself; its log is beside its data.")
                return
            try:
                await self._check()
            except StoreRefused as refused:
                self._refused.set_result(str(refused))
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may find the store mended
                self._missed(error)
                continue
            if self.away:
                log.warning("the store is there again")
                for warning in self.warnings:
                    log.warning(warning)
            self.away, self._unforeseen = False, ""

    def _missed(self, error: Exception) -> None:
        """Log once what keeps a look from its end; of what nobody foresaw, where it came from, never what it says."""
        kind = type(error).__name__
        if isinstance(error, StoreError):
            if not self.away:
                log.warning("the store is away: %s", kind)
        elif kind != self._unforeseen:
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("looking after the store failed: %s\n%s", kind, frames)
            self._unforeseen = kind
        self.away = True

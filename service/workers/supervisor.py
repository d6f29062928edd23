"""The supervisor: holds the port, starts a worker a seat, replaces those that die or get stuck, and has them drain.

It imports no gRPC and answers no call: what it does costs what looking at a few clocks costs.
docs/decisions/0030-workers.md says why it is built like this.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from service.config import Settings
from service.errors import CannotListen
from service.workers.keeping import Keeping
from service.workers.messages import Beat, Begin, Look, Serving, encode
from service.workers.port import Held
from service.workers.process import PROGRAM, Ended, Process
from service.workers.seat import Seat
from service.workers.sharing import Sharing

TICK_S = 0.25
MOST_FAILURES = 5
LEAVES_WITHIN_S = 5.0
"""How long workers may take to end beyond linger and grace; then they are killed."""
_NO_TEXT = "A folder's name is no UTF-8, which several workers cannot tell each other. Rename it, or use --workers 1."


class CannotBegin(Exception):
    """The service does not start like this: the message says why and what to do."""


class Supervisor:
    """A service of several workers, each a process that runs the module `program`.

    Construct it in the loop that runs it; `start`, `until_failed`, `stop`.
    """

    def __init__(self, settings: Settings, program: str = PROGRAM) -> None:
        self._settings, self._program = settings, program
        self._held: Held | None = None
        self._held_for_browsers: Held | None = None
        self._sharing = Sharing(settings.store, waits=settings.reload)
        self._seats = tuple(Keeping(number + 1, self._worker, self._goes_on) for number in range(settings.workers))
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks: dict[Keeping, asyncio.Task[None]] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._serving: Serving | None = None
        self._news = asyncio.Event()
        self._guarded: tuple[str, ...] = ()
        self._is_open = False

    async def start(self) -> Serving:
        """Hold the port and start all workers; return what the last one says. Raises `CannotBegin`, with nothing left.

        The first one begins alone, so that what is wrong is found, and said, once.
        """
        _check_can_be_told(self._settings)
        try:
            self._held = Held.on(self._settings.host, self._settings.port)
            if (web_port := self._settings.web.port) is not None:
                self._held_for_browsers = Held.on(self._settings.host, web_port, "--web-port")
            self._ticking = asyncio.create_task(self._tick())
            self._ticking.add_done_callback(self._sees_no_more)
            await self._begin(self._seats[:1])
            await self._begin(self._seats[1:])
        except CannotListen as refused:
            raise CannotBegin(str(refused)) from None
        except BaseException:
            await self.stop()
            raise
        self._is_open = True
        assert self._serving is not None  # noqa: S101 - all of them serve
        return self._serving

    async def until_failed(self) -> str:
        """Wait until the service cannot go on, which it normally always can; return why."""
        return await asyncio.shield(self._failed)

    def look_now(self) -> None:
        """Have every worker judge the folders of the strategy and the model now."""
        for seat in self._seats:
            seat.say(Look())

    async def stop(self) -> None:
        """Have all workers say NOT_SERVING, linger, drain and end; then end what they shared."""
        for seat in self._seats:
            seat.leave()
        await self._all_left(self._settings.linger_s + self._settings.grace_s + LEAVES_WITHIN_S)
        if self._ticking is not None:
            self._ticking.cancel()
        await self._sharing.close()
        for held in (self._held, self._held_for_browsers):
            if held is not None:
                held.close()

    async def _all_left(self, within_s: float) -> None:
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks.values(), timeout=within_s)
        for seat, task in self._tasks.items():
            if task in late and seat.process is not None:
                seat.process.kill("did not drain in time and was killed")
        await asyncio.gather(*late, return_exceptions=True)

    async def _begin(self, seats: tuple[Keeping, ...]) -> None:
        """Start workers and wait until all of them serve; raise `CannotBegin` where they do not."""
        for seat in seats:
            self._tasks[seat] = asyncio.create_task(seat.run())
        while not all(seat.serves for seat in seats):
            if self._failed.done():
                raise CannotBegin(self._failed.result())
            self._news.clear()
            await self._news.wait()

    def _worker(self, number: int, starts: int) -> Process:
        port = self._held.port if self._held else self._settings.port
        seat, web = Seat(number, starts, self._guarded), self._settings.web
        if self._held_for_browsers:
            web = replace(web, port=self._held_for_browsers.port)
        settings = replace(self._settings, port=port, web=web, seat=seat)
        return Process(settings, self._sharing, asyncio.get_running_loop().time, self._told, self._program)

    def _told(self, message: Serving | Beat) -> None:
        self._guarded = message.guardrails or self._guarded
        if isinstance(message, Serving):
            self._serving = message
            self._news.set()

    def _goes_on(self, seat: Keeping, ended: Ended) -> bool:
        """Give up where a worker found what all others will find, or where none serves, and often none has."""
        if ended.refused and (ended.served_s or not self._is_open):
            self._fail(ended.how)
        elif all(one.unserved >= MOST_FAILURES and not one.serves for one in self._tasks):
            how = f"refused: {ended.how}" if ended.refused else f"{ended.how}."
            self._fail(f"No worker serves: {MOST_FAILURES} in a row ended before they did. The last one {how}")
        return not self._failed.done()

    def _fail(self, why: str) -> None:
        if not self._failed.done():
            self._failed.set_result(why)
        self._news.set()

    async def _tick(self) -> None:
        """Look after the workers; that nobody hears them while this process itself does not run is not their fault."""
        now_s = asyncio.get_running_loop().time
        before_s = now_s()
        while True:
            await asyncio.sleep(TICK_S)
            paused_s = max(0.0, now_s() - before_s - 2.0 * TICK_S)
            before_s = now_s()
            for seat in self._seats:
                if seat.process is not None:
                    seat.process.look(paused_s)
            self._see_that_all_is_there()

    def _sees_no_more(self, ticking: asyncio.Task[None]) -> None:
        """Without anybody who looks after the workers the service must not go on as if there were one."""
        if not ticking.cancelled() and (error := ticking.exception()) is not None:
            self._fail(f"The supervisor failed to look after its workers: {type(error).__name__}.")

    def _see_that_all_is_there(self) -> None:
        if self._sharing.store_ended:
            self._fail("The embedded store has ended by itself; its log is beside its data.")
        for task in self._tasks.values():
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                self._fail(f"The supervisor failed to keep a worker: {type(error).__name__}.")


def _check_can_be_told(settings: Settings) -> None:
    try:
        encode(Begin(settings))
    except UnicodeEncodeError:
        raise CannotBegin(_NO_TEXT) from None

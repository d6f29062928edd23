"""A worker as its supervisor sees it: a process, what it says, and whether it still says anything."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from signal import Signals
from typing import Protocol

from service.children import surroundings
from service.config import Settings
from service.workers.channel import Channel
from service.workers.messages import (
    AskStore,
    AskVerdict,
    Beat,
    Begin,
    Refused,
    Serving,
    Store,
    ToWorker,
    Unreadable,
    Verdict,
    for_supervisor,
)

PROGRAM = "service.workers"
SILENT_S = 2.0
"""How long a worker that serves may say nothing: five beats. A new one serves about a second later."""
BEGINS_WITHIN_S = 60.0
"""How long a worker that begins may be at work without a word: it loads, and its loop does not turn meanwhile."""
GONE_S = 1.0
"""How long a worker may take to end once it has closed its channel."""


class Answers(Protocol):
    """Answers what a worker asks."""

    async def store(self) -> Store:
        """Return where the embedded store is."""
        ...

    async def verdict(self, asked: AskVerdict) -> Verdict:
        """Say whether a model may serve."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended: in words, whether it gave a reason of its own, and how long it had served (s)."""

    how: str
    refused: bool
    served_s: float


class Process:
    """One worker, from its start to its end.

    `now` gives seconds; `told` is called with each message of note; `program` is the module that is run.
    """

    def __init__(
        self,
        settings: Settings,
        answers: Answers,
        now: Callable[[], float],
        told: Callable[[Serving | Beat], None],
        program: str = PROGRAM,
    ) -> None:
        self.settings = settings
        self._program = program
        self.serving: Serving | None = None
        self.refused = ""
        self.leaving = False
        self._answers, self._now, self._told = answers, now, told
        self._serves_since_s = self._heard_s = now()
        self._killed = ""
        self._asked: set[asyncio.Task[None]] = set()
        self._child: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None

    async def begin(self) -> None:
        """Start it, and tell it what to do; raise OSError where the system lets no process start."""
        ours, theirs = socket.socketpair()
        try:
            # A session of its own: Ctrl-C in the terminal is for the supervisor, which then has the workers drain.
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "service.leash", str(os.getpid()), self._program, str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=surroundings(),
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._heard_s = self._now()
        self._channel = await Channel.over(ours, self._hear, self._gone)
        self.say(Begin(self.settings))

    @property
    def pid(self) -> int:
        """Its process id; 0 before it is started."""
        return self._child.pid if self._child is not None else 0

    def say(self, message: ToWorker) -> None:
        """Tell it something."""
        if self._channel is not None:
            self._channel.send(message)

    def look(self, paused_s: float = 0.0) -> None:
        """Kill it where it has said nothing for too long; `paused_s` is for how long nobody could hear it."""
        self._heard_s += paused_s
        serves = bool(self.serving or self.leaving)
        longest_s = SILENT_S if serves else BEGINS_WITHIN_S
        if (serves or not self._asked) and self._now() - self._heard_s > longest_s:
            self.kill(f"said nothing for {longest_s:g} s and was killed")

    def kill(self, why: str) -> None:
        """End it at once, also where it is stopped; `why` completes the sentence that says how it ended."""
        if self._child is not None and self._child.returncode is None:
            self._killed = self._killed or why
            with suppress(ProcessLookupError):
                self._child.kill()

    async def ended(self) -> Ended:
        """Wait until it has ended and everything that it said is heard; return how."""
        if self._child is None:
            raise RuntimeError("a worker that was not started cannot end")
        code = await self._child.wait()
        if self._channel is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(GONE_S):
                    await self._channel.ended()
        for asked in self._asked:
            asked.cancel()
        served_s = self._now() - self._serves_since_s if self.serving else 0.0
        return Ended(self.refused or self._killed or _in_words(code), bool(self.refused), served_s)

    def _hear(self, line: bytes) -> None:
        try:
            message = for_supervisor(line)
        except Unreadable:
            self.kill("said what is none of ours and was killed")
            raise
        self._heard_s = self._now()
        match message:
            case AskStore():
                self._answer(self._answers.store())
            case AskVerdict():
                self._answer(self._answers.verdict(message))
            case Refused():
                self.refused = message.why
            case Serving():
                self.serving, self._serves_since_s = message, self._heard_s
                self._told(message)
            case Beat():
                self._told(message)

    def _answer(self, answer: Awaitable[ToWorker]) -> None:
        async def say() -> None:
            try:
                self.say(await answer)
            except Exception as error:  # noqa: BLE001 - whatever it is, a worker that gets no answer waits for ever
                self.kill(f"asked what could not be answered ({type(error).__name__}) and was killed")
            self._heard_s = self._now()

        asked = asyncio.create_task(say())
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)

    def _gone(self) -> None:
        """End what closed its channel and does not end: nobody can tell any more whether it works."""
        asyncio.get_running_loop().call_later(GONE_S, self.kill, "was not heard any more and was killed")


def _in_words(code: int) -> str:
    """Say how a process ended that gave no reason."""
    if code >= 0:
        return f"ended by itself with {code}"
    with suppress(ValueError):
        return f"was ended by {Signals(-code).name}"
    return f"was ended by signal {-code}"

"""Reloading: a changed strategy or model is loaded beside the one in force, verified, and put in force in one step.

Folders are looked at four times a second, without reading a file. A change is taken up when two looks agree, so that a
folder that is still being written is not judged, and later where rules are gone, for a file may be under way. What then
turns out to be bad is refused once, and the last good version goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from models.artifacts import ArtifactRefused
from models.propensity import Folded
from service.core.control import RefusedVersion
from service.errors import StoreError
from service.shrinking import GuardrailsGone, check_guarded, listed, rules_gone
from service.store.settings import StoreRefused
from service.telemetry import Counts
from service.verifying import NotVerified
from service.versions import Folders, Look, Version, problems_of

log = logging.getLogger(__name__)

LOGGED_PROBLEMS = 3
KEPT_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """How often folders are looked at (s); how long they must be still where rules are gone (s), so that such a version
    is in force within two seconds all the same; how often a model is verified, and how long after one that failed (s).
    """

    look_s: float = 0.25
    settle_s: float = 1.2
    verify_again_s: float = 2.0
    verify_times: int = 5


PACE = Pace()


class Load(Protocol):
    """Loads and verifies a version; raises what is wrong with it."""

    async def __call__(self, folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        """Load what the folders hold; a model that is `verified` is only checked against the strategy."""
        ...


class Reloading:
    """Follows the folders of a strategy and its model.

    `put_in_force(version)` claims the version in the store and lets calls see it; it raises StoreRefused where the
    store holds something else, and another StoreError when it does not answer: then it is tried again. `clock()` gives
    now in milliseconds. Nothing is followed before `open`; with `follows` unset only after `look_now`.
    """

    def __init__(
        self,
        folders: Folders,
        seen: Look,
        first: Version,
        put_in_force: Callable[[Version], Awaitable[None]],
        counts: Counts,
        clock: Callable[[], int],
        load: Load,
        *,
        follows: bool = True,
        pace: Pace = PACE,
    ) -> None:
        self.refused: RefusedVersion | None = None
        self.since_ms = clock()
        self._folders, self._judged, self._version = folders, seen, first
        self._put_in_force, self._counts, self._clock = put_in_force, counts, clock
        self._follows, self._load, self._pace = follows, load, pace
        self._before: Look = seen
        self._still_since_s = float("-inf")
        self._owed = False
        self._verified: tuple[Look | None, int] = None, 0
        self._not_before_s = float("-inf")
        self._loaded: tuple[Look, Version] | None = None
        self._waits = False
        self._now = asyncio.Event()
        self._one = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._tell_unchallenged(first)

    def open(self) -> None:
        """Follow the folders from now on."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Follow them no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def look_now(self) -> None:
        """Judge what the folders hold now, as whoever asks for it knows that they are complete; refused ones, too."""
        self._now.set()

    async def use_model(self, folder: Path) -> None:
        """Follow another model's folder, verified now; raise `ArtifactRefused`, and go on as before, if it may not."""
        async with self._one:
            folders = replace(self._folders, model=folder)
            seen = await asyncio.to_thread(folders.look)
            version = await self._load(folders, self._version.model, beside=True)
            try:
                check_guarded(self._version.strategy, version.strategy)
                await self._put_in_force(version)
            except (StoreError, GuardrailsGone) as error:
                raise ArtifactRefused(f"{folder}: {error}") from None
            self._folders, self._judged, self._before, self._owed = folders, seen, seen, False
            self._taken(version)

    async def _follow(self) -> None:
        while True:
            asked = await self._next_look()
            try:
                async with self._one:
                    await self.look(asked=asked)
            except Exception as error:  # noqa: BLE001 - a defect in one look must not end all that would come after it
                log.error("looking at the folders failed and goes on: %s", type(error).__name__)

    async def _next_look(self) -> bool:
        """Wait for the next look, which comes by itself as long as one is owed; tell whether somebody asked for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.look_s if self._follows or self._owed else None):
                await self._now.wait()
        asked = self._now.is_set()
        self._now.clear()
        return asked

    async def look(self, *, asked: bool = False) -> None:
        """Look once, and take up what has changed if the look before saw the same; `asked` does not wait for that."""
        seen = await asyncio.to_thread(self._folders.look)
        if not self._is_due(seen, asked=asked):
            return
        self._owed = True
        try:
            version = await self._version_at(seen)
            if await asyncio.to_thread(self._folders.look) != seen:
                return  # it was changed while it was read: what was read may be half of each
            if not asked and self._may_be_half(version):
                return
            await self._take(version)
        except NotVerified as refused:
            if self._verifies_again(refused, seen, asked=asked):
                return
            self._refuse(refused, asked=asked)
        except StoreRefused as refused:
            self._refuse(refused, asked=asked)
        except StoreError as error:
            self._wait(error)
            return
        except Exception as refused:  # noqa: BLE001 - whatever is wrong with a version, the last good one goes on
            self._refuse(refused, asked=asked)
        self._judged, self._loaded, self._waits, self._owed = seen, None, False, False
        self._verified = None, 0

    def _is_due(self, seen: Look, *, asked: bool) -> bool:
        """Tell whether what is seen is to be judged now: what changed, or what was asked for and could not be."""
        now_s = asyncio.get_running_loop().time()
        if seen != self._before:
            self._before, self._still_since_s = seen, now_s
            return asked
        rests = seen == self._verified[0] and now_s < self._not_before_s
        return asked or (not rests and (self._owed or seen != self._judged))

    def _may_be_half(self, version: Version) -> bool:
        """Tell whether rules are gone from folders that were not still for long: a file may be about to come back."""
        still_s = asyncio.get_running_loop().time() - self._still_since_s
        return still_s < self._pace.settle_s and bool(rules_gone(self._version.strategy, version.strategy))

    def _verifies_again(self, refused: NotVerified, seen: Look, *, asked: bool) -> bool:
        """Tell whether a model that was not verified is tried again, as nothing is known against it."""
        before, times = self._verified
        times = 1 if asked or before != seen else times + 1
        self._verified = seen, times
        self._not_before_s = asyncio.get_running_loop().time() + self._pace.verify_again_s
        if times >= self._pace.verify_times:
            return False
        log.warning("a changed model is verified again: %s", refused)
        return True

    async def _version_at(self, seen: Look) -> Version:
        """Return what the folders hold; loaded once, however often the store keeps it waiting."""
        if self._loaded is None or self._loaded[0] != seen:
            self._loaded = seen, await self._load(self._folders, self._version.model, beside=True)
        return self._loaded[1]

    async def _take(self, version: Version) -> None:
        if version.stamp == self._version.stamp:  # written again as it is, or back to what is in force
            self._stands(False)
            self._tell_unchallenged(version)
            return
        check_guarded(self._version.strategy, version.strategy)
        await self._put_in_force(version)
        self._taken(version)

    def _taken(self, version: Version) -> None:
        before, self._version, self.since_ms = self._version, version, self._clock()
        self._stands(False)
        for what, old, new in zip(("strategy", "model", "challenger"), before.stamp, version.stamp, strict=True):
            if old != new:
                self._counts.add("strategy.reloaded", what)
        self._tell_gone(rules_gone(before.strategy, version.strategy))
        self._tell_unchallenged(version)
        log.info("strategy %s with model %s is in force", version.name[0], version.name[1] or "(priors)")

    def _tell_gone(self, rules: tuple[str, ...]) -> None:
        for rule in rules:
            self._counts.add("strategy.rules_gone", rule)
        if rules:
            log.warning("the strategy that comes into force is without rules of the one before: %s", listed(rules))

    def _tell_unchallenged(self, version: Version) -> None:
        if version.unchallenged:
            self.refused = RefusedVersion("challenger", (version.unchallenged,), self._clock(), stands=True)
            self._counts.add("strategy.refused", "challenger")

    def _stands(self, stands: bool) -> None:
        if self.refused is not None:
            self.refused = replace(self.refused, stands=stands)

    def _refuse(self, refused: Exception, *, asked: bool) -> None:
        problems = problems_of(refused)[:KEPT_PROBLEMS]
        what = "model" if isinstance(refused, ArtifactRefused) else "strategy"
        stands = self.refused is not None and self.refused.stands and self.refused.problems == problems
        if stands and not asked:
            return
        self.refused = RefusedVersion(what, problems, self._clock(), stands=True)
        self._counts.add("strategy.refused", what)
        more = f" (and {len(problems) - LOGGED_PROBLEMS} more)" if len(problems) > LOGGED_PROBLEMS else ""
        log.warning(
            "a changed %s is refused, %s goes on: %s%s",
            what, self._version.name[0], "; ".join(problems[:LOGGED_PROBLEMS]), more,
        )  # fmt: skip

    def _wait(self, error: StoreError) -> None:
        if not self._waits:
            log.warning("a changed version waits for the store: %s", type(error).__name__)
        self._waits = True

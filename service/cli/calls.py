"""Calls to a running service, and what their failures mean to whoever typed the command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from models.context import ContextSchema
from service.cli.output import Failed
from service.cli.securing import secured
from service.rpc.client import CallFailed, TactClient

T = TypeVar("T")


def call(target: str, work: Callable[[TactClient], Awaitable[T]], schema: ContextSchema | None = None) -> T:
    """Do work with a client of the service at `target`; raise `Failed` in one line where that fails."""
    return asyncio.run(_called(target, work, schema))


async def _called(target: str, work: Callable[[TactClient], Awaitable[T]], schema: ContextSchema | None) -> T:
    try:
        async with TactClient(target, schema=schema, secured=secured(target)) as client:
            return await work(client)
    except CallFailed as failed:
        raise Failed(in_words(failed, target)) from None
    except ValueError as error:
        raise Failed(str(error), 2) from None


def in_words(failed: CallFailed, target: str) -> str:
    """Return one line that says what failed and what to do."""
    if failed.code == "UNAVAILABLE" and not failed.message.startswith("The "):
        return f"no service answers at {target}; start one with `tact serve`, or name another with --target"
    if failed.code == "DEADLINE_EXCEEDED":
        return f"the service at {target} did not answer in time"
    if failed.violations:
        return "; ".join(f"{bad.field} {bad.description}" for bad in failed.violations)
    return f"{failed.message or failed.code.lower()}"

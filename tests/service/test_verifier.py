"""The verifier: what a process that died says of a model is nothing, and the next one is asked again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from models.artifacts import ArtifactRefused
from models.propensity import Folded
from service import verifying
from service.verifying import NotVerified, Verifier

UNSEEN = object.__new__(Folded)
"""A model that is not looked at before it is verified."""


async def child() -> psutil.Process:
    """Return the process that verifies, as soon as it is there."""
    async with asyncio.timeout(10.0):
        while True:
            for process in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):
                    if "--waiting" in process.cmdline():
                        return process
            await asyncio.sleep(0.005)


async def test_a_verifier_that_dies_is_no_verdict(tmp_path: Path) -> None:
    """Killed at work it leaves the model as it was, which is told; the next one gives a verdict."""
    verifier = Verifier(waits=True)
    try:
        asked = asyncio.create_task(verifier.verify(tmp_path, UNSEEN))
        (await child()).kill()
        with pytest.raises(NotVerified, match="could not be verified"):
            await asked
        with pytest.raises(ArtifactRefused) as refused:
            await verifier.verify(tmp_path, UNSEEN)
        assert not isinstance(refused.value, NotVerified)
    finally:
        await verifier.close()


async def test_a_verifier_that_takes_too_long_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and nothing is known of the model."""
    monkeypatch.setattr(verifying, "VERIFY_WITHIN_S", 0.01)
    verifier = Verifier(waits=False)
    with pytest.raises(NotVerified, match="longer than"):
        await verifier.verify(tmp_path, UNSEEN)

"""Open a store from the command line, to read it: the one of a running service, or an embedded one that nobody uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from service.cli.output import Failed
from service.config import DEFAULT_STORE, SettingRefused, StorePlace, read_settings
from service.store.connection import StoreError
from service.store.embedded import LOOPBACK, EmbeddedStore, EmbeddedStoreError, StoreLocked
from service.store.opening import open_store
from service.store.way import Way

WAIT_MS = 10_000

Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", show_default=False,
        help=f"The store: embedded:FOLDER or redis://… ({DEFAULT_STORE}). [TACT_STORE]",
    ),
]  # fmt: skip


def place_of(store: str | None, environment: Mapping[str, str]) -> StorePlace:
    """Return the store that is meant; raise `Failed` where it is none. Its URL goes into no text."""
    try:
        return read_settings({"store": store}, environment).store
    except SettingRefused as refused:
        raise Failed(str(refused), 2) from None


@asynccontextmanager
async def opened(place: StorePlace) -> AsyncIterator[Way]:
    """Open a store for as long as it is wanted; raise `Failed` in one line where it does not do what it is asked."""
    embedded: EmbeddedStore | None = None
    try:
        url = place.url
        if place.folder is not None:
            url, embedded = await asyncio.to_thread(_embedded, place.folder)
        connections = open_store(url, timeout_ms=WAIT_MS, connect_timeout_ms=WAIT_MS)
        try:
            yield connections
        finally:
            await connections.close()
    except StoreError as error:
        raise Failed(f"--store: {error}") from None
    except (EmbeddedStoreError, ValueError, OSError) as error:
        raise Failed(f"--store: {error}") from None
    finally:
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)


def _embedded(folder: Path) -> tuple[str, EmbeddedStore | None]:
    """Return the URL of an embedded store, and the store where it was started for this."""
    if not folder.is_dir():
        raise EmbeddedStoreError(f"there is no folder {folder}; name the store's folder, or its URL")
    with suppress(StoreLocked):
        store = EmbeddedStore(folder)
        return store.start(), store
    try:
        port = int((folder / "port").read_text(encoding="ascii"))
    except (OSError, ValueError):
        why = f"the store in {folder} is used by a service, and does not tell its port; name its URL"
        raise EmbeddedStoreError(why) from None
    return f"redis://{LOOPBACK}:{port}/0", None

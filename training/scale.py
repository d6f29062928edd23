"""Where work is done: here, or on a Dask cluster; what comes out is the same.

    with workers("local:2") as many:
        for chunk in many.map(built_part, plan, parts):
            ...

Work is cut into items by what it is about, never by how many do it, and results come in the order of the items. So the
same arithmetic is done in the same order wherever it is done.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol, TypeVar

from training.errors import TrainingRefused

_Shared = TypeVar("_Shared")
_Result = TypeVar("_Result")

ADDRESS = re.compile(r"(tcp|tls)://\S+|local:([1-9][0-9]?)")
_AHEAD = 2
"""Items a worker that are sent before the first result is taken: one is worked on while the next one travels."""


class Workers(Protocol):
    """Does pieces of work."""

    def map(
        self, function: Callable[..., _Result], shared: _Shared, items: Iterable[tuple[Any, ...]]
    ) -> Iterator[_Result]:
        """Yield `function(shared, *item)` of every item, in their order; few of them are looked at ahead."""
        ...


class Here:
    """Does the work in this process, one item after the other."""

    def map(
        self, function: Callable[..., _Result], shared: _Shared, items: Iterable[tuple[Any, ...]]
    ) -> Iterator[_Result]:
        """See Workers."""
        return (function(shared, *item) for item in items)


@contextmanager
def workers(address: str | None, reached_s: float = 10.0) -> Iterator[Workers]:
    """Give workers: none means here, `tcp://HOST:PORT` a Dask scheduler, `local:2` two processes of this machine.

    Raises `TrainingRefused` where there is no such cluster, after `reached_s` seconds, or where it fails for good.
    """
    if address is None:
        yield Here()
        return
    found = ADDRESS.fullmatch(address)
    if not found:
        raise TrainingRefused(f"{address!r} is no Dask cluster; write tcp://HOST:PORT of a scheduler, or local:2")
    with _client(address, found[2], reached_s) as client:
        yield _Cluster(client)


def _distributed() -> Any:  # noqa: ANN401  dask has no types
    try:
        return import_module("distributed")
    except ModuleNotFoundError:
        raise TrainingRefused("Dask is not installed here; `pip install tact[scale]` brings it") from None


@contextmanager
def _client(address: str, count: str | None, reached_s: float) -> Iterator[Any]:
    """Give a client of a cluster; one of this machine ends with it, another goes on."""
    import dask

    distributed = _distributed()
    # Parts of a log travel with their work, so that they are not lost with a worker.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
        if count is None:
            try:
                client = distributed.Client(address, timeout=reached_s)
            except (OSError, TimeoutError) as error:
                raise TrainingRefused(f"{address} cannot be reached ({error}); is the scheduler running?") from None
            with client:
                yield client
            return
        size = {"n_workers": int(count), "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
        cluster = distributed.LocalCluster(processes=True, host="127.0.0.1", **size)
        with cluster, distributed.Client(cluster) as client:
            yield client


class _Cluster:
    """Does the work on a Dask cluster."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  dask has no types
        self._client = client

    def map(
        self, function: Callable[..., _Result], shared: _Shared, items: Iterable[tuple[Any, ...]]
    ) -> Iterator[_Result]:
        """See Workers."""
        ahead = _AHEAD * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        waiting: deque[Any] = deque()
        for item in items:
            waiting.append(self._client.submit(function, shared, *item, pure=False))
            if len(waiting) >= ahead:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _result(future: Any) -> Any:  # noqa: ANN401  dask has no types
    """Return what came of a piece of work; what the work itself refuses stays as it is."""
    distributed = _distributed()
    lost = (distributed.KilledWorker, distributed.CancelledError, distributed.comm.CommClosedError)
    try:
        return future.result()
    except lost as error:
        raise TrainingRefused(f"the cluster did not finish the work ({type(error).__name__}: {error})") from None

"""`tact serve` and `tact health`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, note, say, say_json
from service.config import DEFAULT_STORE, DEFAULT_STRATEGY, EMBEDDED, Settings, read_settings
from service.scheduling import pull_levers, settle_memory

if TYPE_CHECKING:
    from service.rpc.client import TactClient

EXAMPLE = example("tact serve --store redis://127.0.0.1:6379/0 --strategy strategies/demo --port 50051")
HEALTH_EXAMPLE = example("tact health --target 127.0.0.1:50051")
T = TypeVar("T")


def _option(name: str, metavar: str, says: str) -> Any:  # noqa: ANN401 - what typer takes for an option
    variable = f"TACT_{name.upper().replace('-', '_')}"
    return typer.Option(f"--{name}", metavar=metavar, help=f"{says} [{variable}]")


def _flag(name: str, says: str) -> Any:  # noqa: ANN401 - what typer takes for an option
    return typer.Option(f"--{name}/--no-{name}", help=f"{says} [TACT_{name.upper().replace('-', '_')}]")


def serve(
    store: Annotated[str | None, _option("store", "URL", f"embedded:FOLDER or redis://… ({DEFAULT_STORE}).")] = None,
    store_url_file: Annotated[
        str | None, _option("store-url-file", "FILE", "A file that holds the store's URL, for URLs with a password.")
    ] = None,
    strategy: Annotated[str | None, _option("strategy", "DIR", f"The strategy's folder ({DEFAULT_STRATEGY}).")] = None,
    model: Annotated[str | None, _option("model", "DIR", "The folder of a trained model; without: priors.")] = None,
    challenger: Annotated[
        str | None, _option("challenger", "DIR", "The folder of a model that is scored beside, and has no say.")
    ] = None,
    erasure_key_file: Annotated[
        str | None, _option("erasure-key-file", "FILE", "A file with 32 secret bytes or more, to keep the erased out.")
    ] = None,
    keep: Annotated[
        str | None, _option("keep", "KIND=TIME,…", "How long what is kept, such as log=30d,outcomes=30d.")
    ] = None,
    host: Annotated[str | None, _option("host", "HOST", "The address to listen on (127.0.0.1).")] = None,
    port: Annotated[str | None, _option("port", "PORT", "The port; 0 takes a free one (50051).")] = None,
    allow_as_of: Annotated[bool | None, _flag("allow-as-of", "Let callers choose the moment.")] = None,
    reflection: Annotated[bool | None, _flag("reflection", "Let callers list the services.")] = None,
    reload: Annotated[bool | None, _flag("reload", "Take changed strategies and models in (yes).")] = None,
    scheduling: Annotated[str | None, _option("scheduling", "batch|normal", "How Linux schedules it (batch).")] = None,
    log_level: Annotated[str | None, _option("log-level", "LEVEL", "debug, info, warning or error (warning).")] = None,
    grace: Annotated[str | None, _option("grace", "SECONDS", "How long calls may take at the end (10).")] = None,
    store_wait: Annotated[
        str | None, _option("store-wait", "SECONDS", "How long one store call may take (0.25).")
    ] = None,
    linger: Annotated[str | None, _option("linger", "SECONDS", "How long to go on after SIGTERM (0).")] = None,
    json: Json = False,
) -> int:
    """Serve a strategy over gRPC until SIGTERM or Ctrl-C.

    Every setting can also come from the environment, by the name in brackets; the command line counts more.
    """
    flags = {
        "store": store, "store-url-file": store_url_file, "strategy": strategy, "model": model, "host": host,
        "port": port, "allow-as-of": allow_as_of, "reflection": reflection, "reload": reload, "scheduling": scheduling,
        "log-level": log_level, "store-wait": store_wait, "grace": grace, "linger": linger,
        "erasure-key-file": erasure_key_file, "keep": keep, "challenger": challenger,
    }  # fmt: skip
    settings = read_settings(flags, os.environ)
    prepare(settings)
    return run_loop(_serving(settings, json))


def health(target: Target = DEFAULT_TARGET, json: Json = False) -> int:
    """Ask a service whether it serves; ends with 0 if it does and with 1 if not.

    It also names a changed strategy or model that was refused and is not mended yet: the one before goes on.
    """
    from service.cli.calls import call

    status, refused = call(target, _health)
    if json:
        say_json({"target": target, "status": status, "refused": refused})
    else:
        say(f"{target} is {status.replace('_', ' ')}")
        if refused:
            note(f"a changed {refused['what']} is refused, see `tact status`: {refused['problems'][0]}")
    return 0 if status == "serving" else 1


async def _health(client: TactClient) -> tuple[str, dict[str, Any] | None]:
    """Return the health, and the refused version that stands; none where the service does not tell."""
    from service.rpc.client import CallFailed

    status, refused = await client.health(), None
    with suppress(CallFailed):
        refused = (await client.control.status()).get("refused")
    return status, refused if refused and refused["stands"] else None


def prepare(settings: Settings) -> None:
    """Set this process up for serving; must come before anything imports grpc."""
    pull_levers(settings.scheduling)
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for warning in settings.warnings:
        note(f"warning: {warning}")


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run work on the fast loop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


class Told(Exception):
    """The process was told to end by a signal."""


class Signals:
    """SIGINT and SIGTERM: the first tells the work to end, the second ends the process at once."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._hear, number)

    async def unless_told(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns; when told to end, cancel it, wait until it has cleaned up and raise `Told`."""
        task = asyncio.create_task(work)
        told = asyncio.create_task(self.told.wait())
        try:
            await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            told.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        raise Told

    def hear(self, number: int, work: Callable[[], None]) -> None:
        """Do something on a signal, and go on."""
        asyncio.get_running_loop().add_signal_handler(number, work)

    def _hear(self, number: int) -> None:
        if self.told.is_set():
            os._exit(128 + number)  # what was started ends with this process, however it ends
        self.told.set()


async def _serving(settings: Settings, json: bool) -> int:
    from service.app import StartRefused, start

    signals = Signals()
    try:
        running = await signals.unless_told(start(settings))
    except StartRefused as refused:
        raise Failed(str(refused)) from None
    except Told:
        return 0
    for warning in running.store.warnings:
        note(f"warning: {warning}")
    settle_memory()
    versions = {"strategy": running.strategy.version, "model": running.model, "store": _place(settings)}
    if json:
        say_json({"event": "serving", "host": settings.host, "port": running.port, **versions})
    else:
        note(f"strategy {versions['strategy']}, model {versions['model'] or '(priors)'}, store {versions['store']}")
        say(f"serving on {running.address}")
    signals.hear(signal.SIGHUP, running.reloading.look_now)
    try:
        reason = await signals.unless_told(running.store.until_refused())
    except Told:
        reason = ""
    await running.stop()
    if reason:
        raise Failed(reason)
    return 0


def _place(settings: Settings) -> str:
    """Name the store without what may be secret."""
    from service.store.address import Address

    folder = settings.store.folder
    return str(Address.parse(settings.store.url)) if folder is None else f"{EMBEDDED}{folder}"

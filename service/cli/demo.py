"""`tact demo`: everything at once, in one process and a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import Json, example
from service.cli.output import Failed, note, say, say_json, show
from service.cli.serve import prepare, run_loop
from service.config import DEFAULT_PORT, DEFAULT_STRATEGY, EMBEDDED, Settings, read_settings
from service.rpc.web.settings import DEFAULT_WEB_PORT
from service.signals import Signals, Told

if TYPE_CHECKING:
    from service.app import Running
    from service.cli.refreshing import Refreshed
    from service.cli.telling import Told as Decided
    from service.cli.world import Counts, Demo, Stages

EXAMPLE = example("tact demo --once --json")


def demo(
    once: Annotated[bool, typer.Option("--once", help="Print the decisions as one JSON document and end.")] = False,
    customers: Annotated[int, typer.Option(metavar="N", min=150, max=100_000, help="How many customers.")] = 1000,
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65_535, help="The port.")] = DEFAULT_PORT,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the world, the store and the model here.")
    ] = None,
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The demo's strategy.")] = Path(DEFAULT_STRATEGY),
    web_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65_535, help="The port of the pages.")
    ] = DEFAULT_WEB_PORT,
    json: Json = False,
) -> int:
    """Show everything: a store, a world, a trained model, decisions for telling customers; then serve until Ctrl-C.

    While it serves, customers of the world come and go: they are answered, and take or refuse what they hear.

    Without --data all of it is in a temporary folder that goes away at the end.
    """
    json = json or once
    if not strategy.is_dir():
        raise Failed(f"there is no folder {strategy}; run this in the project's folder, or name it with --strategy", 2)
    port, web_port = _free(port), _free(web_port)
    with _folder(data) as folder:
        flags = {"store": f"{EMBEDDED}{folder / 'store'}", "strategy": str(strategy), "port": str(port)}
        flags["store-wait"] = STORE_WAIT_S
        if not once:
            flags |= {"desktop": "yes", "web-port": str(web_port), "allow-as-of": "yes"}
        settings = read_settings(
            {**flags, "model": ""}, {name: os.environ[name] for name in _KEPT if name in os.environ}
        )
        settings = prepare(settings)
        return run_loop(_demo(settings, folder, customers, once, json))


_KEPT = ("TACT_SCHEDULING", "TACT_LOG_LEVEL")
STORE_WAIT_S = "5"
"""A machine that is busy, with a disk that has just been written to, is no reason to end before anything was shown."""
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


async def _demo(settings: Settings, folder: Path, customers: int, once: bool, json: bool) -> int:
    from service.cli.world import Demo, Stages

    signals, stages = Signals(), Stages(loud=not json or sys.stderr.isatty())
    shown = Demo(settings, folder, customers, stages)
    try:
        await signals.unless_told(_story(shown, stages, once, json))
    except Told:
        return 130 if once else 0
    finally:
        await shown.stop()
    return 0


async def _story(shown: Demo, stages: Stages, once: bool, json: bool) -> None:
    from service.cli.calls import in_words
    from service.cli.visits import visited
    from service.rpc.client import CallFailed, TactClient

    running = await shown.open()
    target = f"127.0.0.1:{running.port}"
    try:
        async with TactClient(target, schema=running.strategy.schema, timeout_s=60.0) as client:
            counts = await shown.fill(client)
            await shown.learn()
            predicted = await shown.predict(client)
            decided = await shown.decide(client)
    except CallFailed as failed:
        raise Failed(in_words(failed, target)) from None
    if json:
        say_json(_document(shown, stages, counts, predicted, decided))
    else:
        _show(decided, target, running)
    if not once:
        async with TactClient(target, schema=running.strategy.schema) as client, visited(client, shown.world):
            raise Failed(await running.store.until_refused())


def _show(decided: tuple[Decided, ...], target: str, running: Running) -> None:
    from service.cli.telling import telling_table

    show(telling_table(decided))
    say(f"\nserving on {target}")
    if running.web is not None:
        show_pages(running.web.port)
    at = "" if target.endswith(f":{DEFAULT_PORT}") else f" --target {target}"
    say("Try, in another terminal:")
    say(f"  tact decide carla-loyal --channel desk --placement offer --context present.sentiment=0.7{at}")
    say(f"  tact context show anna-ticket{at}")
    say("Ctrl-C ends it.")


def show_pages(port: int) -> None:
    """Say where the pages are, and open the agent's where somebody sits before a screen."""
    page = f"http://127.0.0.1:{port}/#anna-ticket"
    say(f"The agent's desktop: {page}")
    say(f"The strategist's page: http://127.0.0.1:{port}/strategist.html")
    if sys.stdout.isatty() and (sys.platform == "darwin" or any(os.environ.get(name) for name in _SCREENS)):
        webbrowser.open(page)


def _document(
    shown: Demo, stages: Stages, counts: Counts, predicted: Refreshed, decided: tuple[Decided, ...]
) -> dict[str, Any]:
    running = shown.running
    return {
        "event": "serving",
        "port": running.port if running else None,
        **({"web_port": running.web.port} if running and running.web else {}),
        "versions": {"strategy": running.strategy.version, "model": running.model} if running else {},
        "decisions": [one.plain() for one in decided],
        "counts": {
            **asdict(counts),
            "trained_actions": len(shown.model["actions"]),
            "predictions": dict(predicted.predictions),
        },
        "seconds": {**stages.seconds, "all": round(stages.so_far, 3)},
    }


def _free(port: int) -> int:
    """Return the port, or 0 for any free one where it is taken."""
    if port and not _is_free(port):
        note(f"port {port} is taken; the demo takes a free one")
        return 0
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """Give the folder to use, one that goes away afterwards unless it is named."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data
        return
    folder = Path(tempfile.mkdtemp(prefix="tact-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

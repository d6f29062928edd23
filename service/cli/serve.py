"""`tact serve` and `tact health`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, note, say, say_json
from service.config import DEFAULT_STORE, DEFAULT_STRATEGY, EMBEDDED, SettingRefused, Settings, read_settings
from service.guarded import told, unguarded
from service.rpc.web.settings import DEFAULT_WEB_PORT, named_host, unnamed
from service.scheduling import chosen, pull_levers, settle_memory
from service.signals import Later, Signals, Told
from service.workers.messages import Serving
from service.workers.seat import core_of, cores_of

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
    callers: Annotated[
        str | None, _option("callers", "FILE", "Who may call, by certificate or token, and do what.")
    ] = None,
    tls_cert: Annotated[str | None, _option("tls-cert", "FILE", "The certificate, with its chain, as PEM.")] = None,
    tls_key: Annotated[str | None, _option("tls-key", "FILE", "Its private key; only its owner may read it.")] = None,
    tls_client_ca: Annotated[
        str | None, _option("tls-client-ca", "FILE", "Callers need a certificate of these authorities.")
    ] = None,
    channel_classes: Annotated[
        str | None, _option("channel-classes", "CHANNEL=CLASS,…", "Which come first under load: desktop, web or email.")
    ] = None,
    insecure: Annotated[
        bool | None, _flag("insecure", "Let others than this machine call without TLS: a mesh encrypts (no).")
    ] = None,
    web_port: Annotated[
        str | None, _option("web-port", "PORT", "Let browsers call here: Connect, gRPC-Web; 0: a free port (nowhere).")
    ] = None,
    web_origin: Annotated[
        list[str] | None, _option("web-origin", "ORIGIN", "Pages from there may call, https://…; several times.")
    ] = None,
    desktop: Annotated[
        bool | None, _flag("desktop", f"Serve the pages for agents and strategists (no; on port {DEFAULT_WEB_PORT}).")
    ] = None,
    workers: Annotated[
        str | None, _option("workers", "N", "How many processes answer on the port; auto: one a core (1).")
    ] = None,
    pin: Annotated[bool | None, _flag("pin", "Keep each on a core of its own (no).")] = None,
    scheduling: Annotated[
        str | None, _option("scheduling", "auto|batch|normal", "How Linux schedules it (auto: as a short try tells).")
    ] = None,
    log_level: Annotated[str | None, _option("log-level", "LEVEL", "debug, info, warning or error (warning).")] = None,
    grace: Annotated[str | None, _option("grace", "SECONDS", "How long calls may take at the end (10).")] = None,
    store_wait: Annotated[
        str | None, _option("store-wait", "SECONDS", "How long one store call may take (0.25).")
    ] = None,
    durability: Annotated[
        str | None, _option("durability", "fast|durable", "durable: replicas confirm what is acknowledged (fast).")
    ] = None,
    durability_replicas: Annotated[
        str | None, _option("durability-replicas", "N", "How many replicas confirm a write, if durable (1).")
    ] = None,
    durability_wait: Annotated[
        str | None, _option("durability-wait", "MS", "How many milliseconds they may take (500).")
    ] = None,
    telemetry: Annotated[bool | None, _flag("telemetry", "Measure how long decisions take (yes).")] = None,
    otlp: Annotated[
        str | None, _option("otlp", "URL", "Send traces and metrics to this collector, over OTLP and HTTP.")
    ] = None,
    trace_share: Annotated[str | None, _option("trace-share", "SHARE", "Trace this share of decisions (0.01).")] = None,
    trace_callers: Annotated[
        str | None, _option("trace-callers", "RATE", "How many a second callers may have traced besides (10).")
    ] = None,
    metrics_port: Annotated[
        str | None, _option("metrics-port", "PORT", "Let Prometheus read here; 0 takes a free port (nowhere).")
    ] = None,
    metrics_host: Annotated[
        str | None, _option("metrics-host", "HOST", "The address of that port, which has no TLS (127.0.0.1).")
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
        "workers": workers, "pin": pin, "callers": callers,
        "web-port": web_port, "web-origin": ",".join(web_origin) if web_origin else None, "desktop": desktop,
        "tls-cert": tls_cert, "tls-key": tls_key, "tls-client-ca": tls_client_ca, "insecure": insecure,
        "channel-classes": channel_classes,
        "durability": durability, "durability-replicas": durability_replicas, "durability-wait": durability_wait,
        "log-level": log_level, "store-wait": store_wait, "grace": grace, "linger": linger,
        "erasure-key-file": erasure_key_file, "keep": keep, "challenger": challenger, "telemetry": telemetry,
        "otlp": otlp, "trace-share": trace_share, "trace-callers": trace_callers, "metrics-port": metrics_port,
        "metrics-host": metrics_host,
    }  # fmt: skip
    settings = read_settings(flags, os.environ)
    if why := unguarded(settings):
        raise SettingRefused(why)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it is heard: no folder has been read yet
    settings = prepare(settings)
    return run_loop(_supervising(settings, json) if settings.workers > 1 else _serving(settings, json))


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


def prepare(settings: Settings) -> Settings:
    """Set this process up for serving, and return the settings as they come out; before anything imports grpc.

    A supervisor is left as it is, for it must run where its workers take all the time there is.
    """
    cores = cores_of(settings.workers) if settings.pin else ()
    settings = replace(settings, scheduling=chosen(settings.scheduling, cores))
    if settings.workers == 1:
        if settings.pin:
            os.sched_setaffinity(0, {core_of(settings.seat)})
        pull_levers(settings.scheduling)
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    return settings


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run work on the fast loop."""
    import uvloop

    fill_standard_streams()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def fill_standard_streams() -> None:
    """Open stdin, stdout and stderr where whoever started this process closed them, as some that start services do.

    Else what is opened first takes their numbers, and a child gets it in their place: libuv gives up at that.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as Python


async def _serving(settings: Settings, json: bool) -> int:
    from service.app import StartRefused, start

    signals, look = Signals(), Later()
    signals.hear(signal.SIGHUP, look)
    try:
        running = await signals.unless_told(start(settings))
    except StartRefused as refused:
        raise Failed(str(refused)) from None
    except Told:
        return 0
    settle_memory()
    web_port = running.web.port if running.web else None
    serving = Serving(running.port, running.strategy.version, running.model, (), running.store.warnings, web_port)
    _say_serving(serving, settings, json, running.metrics_port)
    look.is_to(running.reloading.look_now)
    try:
        reason = await signals.unless_told(running.store.until_refused())
    except Told:
        reason = ""
    await running.stop()
    if reason:
        raise Failed(reason)
    return 0


async def _supervising(settings: Settings, json: bool) -> int:
    from service.workers.supervisor import CannotBegin, Supervisor

    signals, supervisor = Signals(), Supervisor(settings)
    signals.hear(signal.SIGHUP, supervisor.look_now)
    try:
        serving = await signals.unless_told(supervisor.start())
    except CannotBegin as refused:
        raise Failed(str(refused)) from None
    except Told:
        return 0
    _say_serving(serving, settings, json, settings.telemetry.port or None)
    try:
        reason = await signals.unless_told(supervisor.until_failed())
    except Told:
        reason = ""
    await supervisor.stop()
    if reason:
        raise Failed(reason)
    return 0


def _say_serving(serving: Serving, settings: Settings, json: bool, metrics_port: int | None) -> None:
    for warning in serving.warnings:
        note(f"warning: {warning}")
    versions = {"strategy": serving.strategy, "model": serving.model, "store": _place(settings)}
    if json:
        where = {"host": settings.host, "port": serving.port}
        how = {"workers": settings.workers, "scheduling": settings.scheduling}
        ports = {"metrics_port": metrics_port, "web_port": serving.web_port}
        others = {name: port for name, port in ports.items() if port is not None}
        say_json({"event": "serving", **where, **how, **versions, **others, "unguarded": told(settings)})
        return
    for line in told(settings):
        note(line)
    many = f", {settings.workers} workers" if settings.workers > 1 else ""
    note(f"strategy {versions['strategy']}, model {versions['model'] or '(priors)'}, store {versions['store']}{many}")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if metrics_port is not None:
        reads = settings.telemetry.host
        note(f"metrics at http://{f'[{reads}]' if ':' in reads else reads}:{metrics_port}/metrics")
    if serving.web_port is not None:
        what = "pages and calls of browsers" if settings.web.desktop else "calls of browsers"
        note(f"{what} at {'http' if settings.tls is None else 'https'}://{named_host(host)}:{serving.web_port}/")
        if hint := unnamed(settings.host, settings.web):
            note(f"warning: {hint}")
    say(f"serving on {host}:{serving.port}")


def _place(settings: Settings) -> str:
    """Name the store without what may be secret."""
    from service.store.opening import named

    folder = settings.store.folder
    return named(settings.store.url) if folder is None else f"{EMBEDDED}{folder}"

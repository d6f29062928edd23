"""Settings of the service, read once at the door: from the command line, and where that is silent from `TACT_*`."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from service.durability import read_durability
from service.guarded import read_tls
from service.rpc.admission.classes import read_classes
from service.rpc.web.settings import WebSettings, read_web
from service.store.durable import Confirmation
from service.store.opening import SCHEMES
from service.store.retention import Retention
from service.store.suppression import ErasureKeyRefused, key_in
from service.telemetry.settings import TelemetrySettings, read_telemetry
from service.tls_files import TlsFiles
from service.workers.seat import MOST_WORKERS, Seat, one_a_core

EMBEDDED = "embedded:"
STORE_FORM = (
    "embedded:FOLDER, redis://HOST:PORT/DB, rediss://…, unix:///PATH, redis+sentinel://HOST:PORT,HOST:PORT/MASTER or "
    "redis+cluster://HOST:PORT,HOST:PORT/"
)
DEFAULT_STORE = "embedded:data/store"
DEFAULT_STRATEGY = "strategies/demo"
DEFAULT_PORT = 50051
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PASSWORD_SEEN = (
    "--store: every user of this machine could read the password in it; put the URL into a file of your own "
    "(chmod 600), and name that with --store-url-file or TACT_STORE_URL_FILE"
)
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

Flags = Mapping[str, str | bool | None]
"""What the command line said, a setting's name to its value; None and missing names are silent."""


class SettingRefused(Exception):
    """A setting is not usable: the message names it, the value and what would be right."""


class Scheduling(StrEnum):
    """How Linux shares the processor: `batch` costs fewer switches, `normal` suits cores shared with busy others.

    `auto` tries out at the start which of the two it is.
    """

    BATCH = "batch"
    NORMAL = "normal"
    AUTO = "auto"


class LogLevel(StrEnum):
    """From where on log lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class StorePlace:
    """The store: the folder of an embedded one, or else the URL of another, which may hold a password."""

    folder: Path | None
    url: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> StorePlace:
        """Read what `--store` names; raise ValueError, without the text in it, where it is no store."""
        if text.startswith(EMBEDDED):
            folder = text.removeprefix(EMBEDDED)
            if not folder:
                raise ValueError(f"it names no folder; write {STORE_FORM}")
            return cls(Path(folder))
        if text.partition("://")[0] not in SCHEMES:
            raise ValueError(f"it is no store; write {STORE_FORM}")
        return cls(None, text)

    @property
    def has_password(self) -> bool:
        """Whether the URL holds a password."""
        try:
            parts = urlsplit(self.url)
        except ValueError:  # what cannot be read is refused elsewhere, in words; it may hold one
            return "@" in self.url
        return bool(parts.password) or not {"password", "sentinel_password"}.isdisjoint(parse_qs(parts.query))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the service is told from outside.

    `store_wait_s` is how long one store call of a decision may take. `confirmation` says which replicas confirm what is
    acknowledged; unset, the store alone does. `grace_s` bounds the drain at the end: calls that
    take longer are cancelled. `linger_s` is how long the service goes
    on after it said NOT_SERVING, so that balancers notice. `erasure_key` keeps erased customers suppressed; an embedded
    store has one of its own. `keep` says how long what is kept. `reload` takes changed strategies and models into
    service; without it only on SIGHUP. `callers` is the file that says who may do what, `tls`
    names the files of TLS, `insecure` lets others than this machine call without it. `channel_classes` says which
    channels come before which others when too much is asked (docs/overload.md). `web` is where browsers call. `workers`
    is how many processes answer on the port, `seat` which of them this one is; `pin` keeps each on a core of its own.
    """

    store: StorePlace = field(default_factory=lambda: StorePlace.parse(DEFAULT_STORE))
    strategy: Path = Path(DEFAULT_STRATEGY)
    model: Path | None = None
    challenger: Path | None = None
    erasure_key: bytes | None = field(default=None, repr=False)
    keep: Retention = field(default_factory=Retention)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    allow_as_of: bool = False
    reflection: bool = False
    reload: bool = True
    callers: Path | None = None
    tls: TlsFiles | None = None
    insecure: bool = False
    channel_classes: str = ""
    workers: int = 1
    seat: Seat = field(default_factory=Seat)
    pin: bool = False
    scheduling: Scheduling = Scheduling.AUTO
    log_level: LogLevel = LogLevel.WARNING
    grace_s: float = 10.0
    linger_s: float = 0.0
    store_wait_s: float = 0.25
    confirmation: Confirmation | None = None
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    web: WebSettings = field(default_factory=WebSettings)


def read_settings(flags: Flags, environment: Mapping[str, str]) -> Settings:
    """Return the settings that flags and `TACT_*` say; raise `SettingRefused` for the first that is not usable."""
    door = _Door(flags, environment)
    store, key = _store(door), _erasure_key(door)
    model, challenger = door.text("model", ""), door.text("challenger", "")
    workers, port = _workers(door), _port(door)
    return Settings(
        store=store,
        strategy=Path(door.text("strategy", DEFAULT_STRATEGY)),
        model=Path(model) if model else None,
        challenger=Path(challenger) if challenger else None,
        erasure_key=key,
        keep=_keep(door),
        host=_host(door),
        port=port,
        allow_as_of=door.flag("allow-as-of"),
        reflection=door.flag("reflection"),
        reload=door.flag("reload", default=True),
        callers=Path(callers) if (callers := door.text("callers", "")) else None,
        tls=read_tls(door),
        insecure=door.flag("insecure"),
        channel_classes=_channel_classes(door),
        workers=workers,
        pin=_pin(door),
        scheduling=Scheduling(door.choice("scheduling", Scheduling.AUTO, tuple(Scheduling))),
        log_level=LogLevel(door.choice("log-level", LogLevel.WARNING, tuple(LogLevel))),
        grace_s=door.seconds("grace", 10.0),
        linger_s=door.seconds("linger", 0.0),
        store_wait_s=door.seconds("store-wait", 0.25),
        confirmation=read_durability(door, embedded=store.folder is not None),
        telemetry=read_telemetry(door, workers),
        web=read_web(door, port),
    )


@dataclass(frozen=True, slots=True)
class _Door:
    """Where settings come in: a flag counts over the environment."""

    flags: Flags
    environment: Mapping[str, str]

    def given(self, name: str) -> str | bool | None:
        """Return what was said of a setting; an empty variable says nothing."""
        flag = self.flags.get(name)
        return flag if flag is not None else self.environment.get(_variable(name)) or None

    def text(self, name: str, default: str) -> str:
        """Return a setting that is any text."""
        given = self.given(name)
        return default if given is None else str(given)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a setting that is yes or no."""
        given = self.given(name)
        if isinstance(given, bool) or given is None:
            return default if given is None else given
        if given.lower() not in (*_YES, *_NO):
            raise self.refused(name, f"write one of {', '.join((*_YES, *_NO))}")
        return given.lower() in _YES

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """Return a setting that is one of a few words."""
        given = self.text(name, default)
        if given not in choices:
            raise self.refused(name, f"write one of {', '.join(choices)}")
        return given

    def seconds(self, name: str, default: float) -> float:
        """Return a setting that is a number of seconds."""
        given = self.text(name, str(default))
        try:
            seconds = float(given)
        except ValueError:
            seconds = -1.0
        if not 0.0 <= seconds <= 3600.0:
            raise self.refused(name, "write seconds, 0 to 3600")
        return seconds

    def refused(self, name: str, wanted: str, why: str = "") -> SettingRefused:
        """Say which setting is not usable, where it came from, and what would be right."""
        where = f"--{name}" if self.flags.get(name) is not None else _variable(name)
        return SettingRefused(f"{where}: {why or repr(str(self.given(name))[:80])}; {wanted}")


def _variable(name: str) -> str:
    return f"TACT_{name.upper().replace('-', '_')}"


def _store(door: _Door) -> StorePlace:
    """Return the store; its URL never goes into an error, for it may hold a password."""
    file = door.given("store-url-file")
    named = door.flags.get("store")
    if file is not None and named is not None:
        raise SettingRefused("--store and the store URL file are both given; keep one of them")
    if file is None:
        if named is not None and StorePlace(None, str(named)).has_password:
            raise SettingRefused(_PASSWORD_SEEN)
        return _parsed(door, "store", door.text("store", DEFAULT_STORE))
    try:
        _check_hidden(door, "store-url-file", Path(str(file)))
        text = Path(str(file)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise door.refused("store-url-file", f"name a file that holds {STORE_FORM}", f"{file} ({why})") from None
    return _parsed(door, "store-url-file", text)


def _parsed(door: _Door, setting: str, text: str) -> StorePlace:
    try:
        return StorePlace.parse(text)
    except ValueError as error:
        raise door.refused(setting, str(error), f"{text.partition(':')[0][:20]!r}…") from None


def _check_hidden(door: _Door, setting: str, file: Path) -> None:
    """Refuse a file with a secret that others than its owner can read; raise OSError where there is none."""
    if file.stat().st_mode & 0o077:
        raise door.refused(setting, "forbid that (chmod 600)", f"{file} can be read by others than its owner")


def _erasure_key(door: _Door) -> bytes | None:
    """Return the key that keeps erased customers suppressed, which goes into no text."""
    named = door.text("erasure-key-file", "")
    if not named:
        return None
    try:
        key = key_in(Path(named))
        _check_hidden(door, "erasure-key-file", Path(named))
    except (ErasureKeyRefused, OSError) as refused:
        raise door.refused("erasure-key-file", "the same for every process on this store", str(refused)) from None
    return key


def _keep(door: _Door) -> Retention:
    text = door.text("keep", "")
    try:
        return Retention.parse(text)
    except ValueError as error:
        raise door.refused("keep", str(error)) from None


def _host(door: _Door) -> str:
    host = door.text("host", "127.0.0.1")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise door.refused("host", "write an address such as 127.0.0.1, 0.0.0.0 or ::1, or a host name") from None
    return host


def _channel_classes(door: _Door) -> str:
    text = door.text("channel-classes", "")
    try:
        read_classes(text)
    except ValueError as error:
        raise door.refused("channel-classes", "write CHANNEL=CLASS,…", str(error)) from None
    return text


def _workers(door: _Door) -> int:
    """Return how many workers there are to be: `auto` is one for each core that this process may use."""
    text = door.text("workers", "1")
    count = one_a_core() if text == "auto" else int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    if not 1 <= count <= MOST_WORKERS:
        raise door.refused("workers", f"write a whole number from 1 to {MOST_WORKERS}, or auto for one a core")
    if count > 1 and sys.platform != "linux":
        raise door.refused("workers", "write 1: only Linux shares a port out among processes")
    return count


def _pin(door: _Door) -> bool:
    pin = door.flag("pin")
    if pin and not hasattr(os, "sched_setaffinity"):
        raise door.refused("pin", "leave it out: only Linux keeps a process on a core")
    return pin


def _port(door: _Door) -> int:
    text = door.text("port", str(DEFAULT_PORT))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65_535):
        raise door.refused("port", "write a whole number from 0 (any free port) to 65535")
    return int(text)

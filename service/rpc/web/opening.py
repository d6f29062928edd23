"""Opens the port for browsers where one is wanted; nothing of it is imported where none is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from service.tls_files import TlsFiles

if TYPE_CHECKING:
    from service.rpc.web.endpoints import Answers
    from service.rpc.web.settings import WebSettings


class Settings(Protocol):
    """The settings that the port needs."""

    @property
    def host(self) -> str:
        """Where to listen."""
        ...

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; unset without."""
        ...

    @property
    def callers(self) -> Path | None:
        """The file that says who calls; unset where everybody may do everything."""
        ...

    @property
    def workers(self) -> int:
        """How many processes share the port."""
        ...

    @property
    def web(self) -> WebSettings:
        """Which port, and whose pages may call."""
        ...


class ToBrowsers(Protocol):
    """A port that serves browsers."""

    port: int

    async def drain(self, *, linger_s: float, grace_s: float) -> None:
        """Go on for `linger_s`, take no new calls from then on, and cancel what has not ended within `grace_s`."""
        ...


async def open_to_browsers(settings: Settings, answers: Answers) -> ToBrowsers | None:
    """Return the open port; None where none is wanted. Raises `CannotListen`."""
    if settings.web.port is None:
        return None
    from service.rpc.web.listening import Listening  # 7 MB, which only those pay who want it

    shared = settings.workers > 1
    listening = Listening(settings.web, settings.host, answers, settings.tls, reuse_port=shared)
    await listening.start()
    return listening

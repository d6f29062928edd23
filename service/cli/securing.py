"""How commands reach a guarded service: options that stand before the command, or variables, for all of them alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.output import Failed

if TYPE_CHECKING:
    from service.rpc.secured import Secured

_said: dict[str, Any] = {}


def _file(name: str, says: str) -> Any:  # noqa: ANN401 - what typer takes for an option
    return typer.Option(
        f"--{name}", metavar="FILE", help=says, envvar=f"TACT_{name.upper().replace('-', '_')}", show_envvar=True
    )


TokenFile = Annotated[Path | None, _file("token-file", "A file with the token that calls are sent with.")]
TlsCa = Annotated[Path | None, _file("tls-ca", "The authority that signs the service's certificate.")]
ClientCert = Annotated[Path | None, _file("client-cert", "The certificate to show, where the service asks for one.")]
ClientKey = Annotated[Path | None, _file("client-key", "Its private key.")]
TlsName = Annotated[
    str | None,
    typer.Option(
        "--tls-name", metavar="NAME", envvar="TACT_TLS_NAME", show_envvar=True,
        help="The name in the service's certificate, where it is not the host of --target.",
    ),
]  # fmt: skip
WithTls = Annotated[
    bool, typer.Option("--tls", envvar="TACT_TLS", show_envvar=True, help="Speak TLS, trusting whom this machine does.")
]


def say_secured(**said: Any) -> None:  # noqa: ANN401 - what each of them is stands above
    """Keep what stands before the command, for the calls that it makes."""
    _said.clear()
    _said.update(said)


def secured(target: str) -> Secured:
    """Return how the calls of this command reach a service; raise `Failed` where a file for it cannot be used."""
    from service.rpc.secured import SecretsRefused, Secured

    try:
        return Secured(**_said).checked(target)
    except SecretsRefused as refused:
        raise Failed(str(refused), 2) from None

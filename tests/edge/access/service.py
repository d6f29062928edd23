"""A whole service that knows its callers, with a store of its own, and our client in the name of any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.app import Running, start
from service.config import Settings, StorePlace
from service.rpc.client import TactClient
from service.rpc.secured import Secured
from service.tls_files import TlsFiles
from tests.edge.access.authority import Authority, Signer
from tests.edge.access.world import everybody
from tests.project.tree import ROOT

DEMO = ROOT / "strategies" / "demo"
KEY = b"a key of thirty-two bytes or more, for tests"


@dataclass(frozen=True)
class Service:
    """A service that runs, the folder with its files, and its issuer of tokens."""

    running: Running
    folder: Path
    signer: Signer

    def client(self, token: str) -> TactClient:
        """Return a client that sends a token."""
        file = self.folder / f"token-{abs(hash(token))}"
        file.write_text(token)
        target = f"localhost:{self.running.port}"
        return TactClient(target, timeout_s=5.0, secured=Secured(ca=self.folder / "ca.pem", token=file))

    def customer(self, name: str) -> TactClient:
        """Return a client in the name of one customer, as a signed token says."""
        return self.client(self.signer.token(sub=name, tact_role="web"))


@asynccontextmanager
async def service(folder: Path, more: str = "") -> AsyncIterator[Service]:
    """Start a service with TLS, a caller of each role, and an issuer of customers and agents."""
    authority, signer = Authority(), Signer()
    (folder / "keys.json").write_bytes(signer.keys)
    (folder / "callers.yaml").write_text(everybody(more))
    (folder / "ca.pem").write_bytes(authority.pem)
    tls = TlsFiles(*authority.leaf("server").written(folder, "server"))
    place = StorePlace.parse(f"embedded:{folder / 'store'}")
    running = await start(
        Settings(
            place, DEMO, port=0, reload=False, store_wait_s=5.0, erasure_key=KEY, tls=tls,
            callers=folder / "callers.yaml",
        )
    )  # fmt: skip
    try:
        yield Service(running, folder, signer)
    finally:
        await running.stop(0.0)

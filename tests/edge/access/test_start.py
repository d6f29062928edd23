"""A service that others can reach does not start unguarded, and one that is not guarded says so loudly."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.app import StartRefused, start
from service.config import SettingRefused, Settings, StorePlace, read_settings
from service.guarded import told, unguarded
from service.rpc.secured import SecretsRefused, Secured, token_in
from service.telemetry.settings import TelemetrySettings
from service.tls_files import TlsFiles
from service.workers.messages import Begin, encode, for_worker
from tests.cli.commands import Process, one_line, typed
from tests.edge.access.authority import Authority
from tests.edge.access.world import digest
from tests.profile import full
from tests.project.tree import ROOT

FILES = TlsFiles(Path("cert.pem"), Path("cert.key"))
CALLERS = Path("callers.yaml")
OTHERS = ("0.0.0.0", "::", "192.0.2.7", "2001:db8::1", "tact.example", "::ffff:127.0.0.1", "localhost.example")  # noqa: S104 - nobody listens


@pytest.mark.parametrize("host", OTHERS)
def test_nothing_unguarded_listens_for_others(host: str) -> None:
    """Without callers, or without TLS where nobody says `--insecure`, it does not start, and says what to add."""
    assert "--callers FILE" in unguarded(Settings(host=host))
    assert "--tls-cert FILE" in unguarded(Settings(host=host))
    assert "--callers FILE" in unguarded(Settings(host=host, tls=FILES))
    assert "--callers FILE" in unguarded(Settings(host=host, insecure=True))
    assert "--insecure" in unguarded(Settings(host=host, callers=CALLERS))
    assert unguarded(Settings(host=host, callers=CALLERS, tls=FILES)) == ""
    assert unguarded(Settings(host=host, callers=CALLERS, insecure=True)) == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost", "LOCALHOST"])
def test_on_its_own_machine_it_starts_and_says_what_is_missing(host: str) -> None:
    """There it may do without, which is said in capitals."""
    assert unguarded(Settings(host=host)) == ""
    said = told(Settings(host=host))
    assert [line.partition(":")[0] for line in said] == ["NO AUTHENTICATION", "NO ENCRYPTION"]
    assert told(Settings(host=host, callers=CALLERS, tls=FILES)) == ()
    open_to_all = TelemetrySettings(port=9464, host="0.0.0.0")  # noqa: S104 - nobody listens
    (line,) = told(Settings(host=host, callers=CALLERS, tls=FILES, telemetry=open_to_all))
    assert line.startswith("OPEN METRICS")
    assert told(Settings(host="tact.example", callers=CALLERS, tls=FILES, telemetry=TelemetrySettings(port=9464))) == ()


async def test_no_program_gets_round_that() -> None:
    """Whoever starts it from Python is refused as the command line is."""
    with pytest.raises(StartRefused, match="--callers FILE"):
        await start(Settings(StorePlace.parse("redis://127.0.0.1:1/0"), host="0.0.0.0", port=0))  # noqa: S104 - refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "--callers FILE, which says who may call, and --tls-cert FILE"),  # noqa: S104 - refused
        (("--host", "::", "--insecure"), "--callers FILE"),
        (("--host", "::", "--callers", "x.yaml"), "--insecure, where a mesh"),
        (("--tls-cert", "a.pem"), "--tls-cert and --tls-key belong together"),
        (("--tls-client-ca", "a.pem"), "--tls-cert and --tls-key belong together"),
    ],
)
def test_the_command_line_says_what_to_add(words: tuple[str, ...], said: str) -> None:
    """It ends with 2 and one line."""
    assert said in one_line(typed("serve", *words), 2)


def test_settings_come_from_variables_as_well() -> None:
    """`TACT_TLS_CERT` and its like say the same, and a worker is told what its supervisor was."""
    environment = {"TACT_TLS_CERT": "c", "TACT_TLS_KEY": "k", "TACT_TLS_CLIENT_CA": "a", "TACT_INSECURE": "yes"}
    settings = read_settings({}, environment)
    assert settings.tls == TlsFiles(Path("c"), Path("k"), Path("a"))
    assert settings.insecure
    begun = for_worker(encode(Begin(settings)))
    assert isinstance(begun, Begin)
    assert begun.settings == settings
    with pytest.raises(SettingRefused, match="TACT_TLS_KEY"):
        read_settings({}, {"TACT_TLS_CERT": "c"})


SECRET_TOKEN = "a-token-that-must-stay-in-its-file-4711"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything that a guarded service and its callers need."""
    folder = tmp_path_factory.mktemp("guarded")
    authority = Authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    authority.leaf("server").written(folder, "server")
    authority.leaf("prober", ("prober.example",)).written(folder, "client")
    (folder / "callers.yaml").write_text(
        f"callers:\n  - {{name: operator, role: operator, token_sha256: {digest(SECRET_TOKEN)}}}\n"
        "  - {name: prober, role: probe, certificate: prober.example}\n"
    )
    (folder / "token").write_text(f"{SECRET_TOKEN}\n")
    return folder


@pytest.fixture(scope="module", params=[1, 2] if full() else [2], ids="{} workers".format)
def served(request: pytest.FixtureRequest, folder: Path) -> Iterator[Process]:
    """Return a guarded service on all addresses of this machine, callers with certificates only."""
    words = (
        "--host", "::1", "--port", "0", "--store", f"embedded:{folder}/store-{request.param}", "--json",
        "--strategy", ROOT / "strategies" / "demo", "--log-level", "debug", "--workers", request.param,
        "--callers", folder / "callers.yaml", "--tls-cert", folder / "server.pem", "--tls-key", folder / "server.key",
        "--tls-client-ca", folder / "ca.pem", "--scheduling", "normal",
    )  # fmt: skip
    with Process("serve", *words) as process:
        yield process.serving()


def words_for(served: Process, folder: Path, *, token: bool = True, client: bool = True) -> tuple[str, ...]:
    """Return what stands before a command that reaches a guarded service."""
    words = ["--tls-ca", str(folder / "ca.pem"), "--tls-name", "localhost"]
    words += ["--token-file", str(folder / "token")] if token else []
    both = ["--client-cert", str(folder / "client.pem"), "--client-key", str(folder / "client.key")]
    return (*words, *(both if client else []))


def test_commands_reach_a_guarded_service(served: Process, folder: Path) -> None:
    """With certificate and token `tact` does what the role may, and says in one line what it may not; who brings no
    certificate reaches nothing; a certificate alone is a caller as well.
    """
    target = ("--target", f"[::1]:{served.port}", "--json")
    ran = typed(*words_for(served, folder), "status", *target)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["worker"]["of"] >= 1
    assert "may not do that" in one_line(typed(*words_for(served, folder), "context", "show", "anna", *target), 1)
    assert typed(*words_for(served, folder, client=False), "health", *target).returncode == 1
    probed = typed(*words_for(served, folder, token=False), "health", *target)
    assert json.loads(probed.stdout)["status"] == "serving"
    assert typed(*words_for(served, folder, token=False), "status", *target).returncode == 0
    assert "belong together" in one_line(typed("--client-cert", folder / "client.pem", "health", *target), 2)


def test_no_secret_leaves_its_file(served: Process, folder: Path) -> None:
    """A-11: neither arguments nor environment nor maps of names of any process hold a token, its digest or a key; nor
    does what is printed, at the finest log level, also after refusals.
    """
    target = ("--target", f"[::1]:{served.port}")
    said = typed(*words_for(served, folder), "context", "show", "anna", *target)
    texts = [said.stdout, said.stderr, json.dumps(served.said)]
    for process in (served.pid, *served.offspring()):
        texts += [Path(f"/proc/{process}/{name}").read_text(errors="replace") for name in ("cmdline", "environ")]
    texts.append(served.grumbled())
    assert "DEBUG" in texts[-1]
    key = (folder / "server.key").read_text().splitlines()[1]
    for secret in (SECRET_TOKEN, digest(SECRET_TOKEN), key):
        assert not any(secret in text for text in texts)


def test_nothing_that_holds_secrets_prints_them(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A-11: what is made of the files says nothing of them in its `repr`, nor do the logs of their reading."""
    from service.rpc.access.keys import KeyFile
    from service.rpc.access.tls import Certificates, read_pair
    from service.rpc.callers import CallersFile

    files = TlsFiles(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    settings = Settings(callers=folder / "callers.yaml", tls=files)
    with caplog.at_level(logging.DEBUG):
        file = CallersFile(folder / "callers.yaml")
        made = (
            settings, Begin(settings), read_pair(files), Certificates(files), file, file.now,
            file.now.by_token(SECRET_TOKEN), Secured(token=folder / "token"), token_in(folder / "token"), KeyFile,
        )  # fmt: skip
    key = (folder / "server.key").read_text().splitlines()[1]
    text = caplog.text + "".join(f"{one!r}{one}" for one in made)
    for secret in (SECRET_TOKEN, digest(SECRET_TOKEN), key):
        assert secret not in text


@pytest.mark.parametrize(
    "target",
    ["tact.example:50051", "192.0.2.7:1", "dns:///tact.example:1", "ipv4:192.0.2.7:1", "[2001:db8::1]:1",
     "dns:tact.example", "dns://8.8.8.8/127.0.0.1:1", "localhost.example:1"],
)  # fmt: skip
def test_no_token_goes_unencrypted_over_a_network(target: str, folder: Path) -> None:
    """Our client sends its token to this machine, or over TLS, or not at all."""
    bare = Secured(token=folder / "token")
    for call in (lambda: bare.checked(target), lambda: bare.channel(target, ())):
        with pytest.raises(SecretsRefused, match="without TLS"):
            call()
    Secured(token=folder / "token", tls=True).checked(target)
    Secured().checked(target)
    for near in ("127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/run/tact", "dns:///localhost:1", "ipv6:[::1]:1"):
        bare.checked(near)


@pytest.mark.parametrize("content", ["one\ntwo", "one\ttwo", "", "\x7f", "é", "x" * 9000])
def test_a_token_is_one_line_of_visible_characters(content: str, tmp_path: Path) -> None:
    """What else stands in its file is refused without being told, for no header can hold it."""
    (tmp_path / "token").write_text(content)
    with pytest.raises(SecretsRefused, match="one line of visible"):
        token_in(tmp_path / "token")


def test_no_secret_is_compared_by_its_characters() -> None:
    """A-6: who calls is looked up by digest or checked by signature; no source that sees secrets compares a token or a
    digest with `==` or `!=`, which would take the longer the more of it is right.
    """
    rpc = ROOT / "service" / "rpc"
    seeing = [rpc / f"{name}.py" for name in ("callers", "bearing", "secured", "client", "wrapper", "methods")]
    sources = [*(rpc / "access").glob("*.py"), *seeing, ROOT / "service" / "cli" / "securing.py"]
    assert len(sources) > 15
    found = [f"{path.name}:{line}" for path in sources for line in compared(path.read_text(encoding="utf-8"))]
    assert not found
    assert list(compared("a = 1\nif token == wanted: pass\nb = tokens[0] != x\nc = self.digest.hex() == d")) == [
        2,
        3,
        4,
    ]


SECRET = re.compile("token|secret|digest|signature|password", re.IGNORECASE)


def compared(source: str) -> Iterator[int]:
    """Yield the lines that compare, character by character, what is named as a secret is."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            if any(SECRET.search(side) and not side.startswith(("len(", "record.has(")) for side in sides):
                yield node.lineno

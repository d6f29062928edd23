"""Who calls is known by a token, a certificate or an issuer, and a file says who there is and how far each may go."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from service.core.explained import Depth
from service.errors import UnknownCaller
from service.rpc import callers
from service.rpc.access.gate import Access, bearers
from service.rpc.access.issuers import Sources
from service.rpc.access.who import WHO, Caller, Role
from service.rpc.callers import LARGEST_FILE, Callers, CallersFile, CallersRefused, SameCallers, read_callers
from tests.edge.access.authority import Signer

TOKEN = "the contact centre's own token"
DIGEST = sha256(TOKEN.encode()).hexdigest()
OTHER = sha256(b"another").hexdigest()
GOOD = f"callers:\n  - {{name: desk, role: desktop, token_sha256: {DIGEST}}}\n"
ISSUER = "issuers:\n  - {name: login, issuer: 'https://login/', audience: tact, keys: keys.json, roles: [web]}\n"
METHOD = "tact.v1.DecisionService/ValidateDecision"


class Called:
    """A call with some metadata and some names in its certificate."""

    def __init__(self, *metadata: tuple[str, str | bytes], names: tuple[str, ...] = (), common: str = "") -> None:
        self._metadata = metadata
        self._context = {"x509_subject_alternative_name": [name.encode() for name in names]} if names else {}
        if common:
            self._context["x509_common_name"] = [common.encode()]

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return what the caller sent."""
        return self._metadata

    def auth_context(self) -> dict[str, list[bytes]]:
        """Return what the handshake told."""
        return self._context


def written(folder: Path, text: str | bytes) -> Path:
    """Write a file of callers, and the keys of an issuer beside it."""
    path = folder / "callers.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "keys.json").write_bytes(Signer().keys)
    return path


def let_in(path: Path, call: Called) -> Caller | None:
    """Return whom the gate lets in; None for nobody."""
    gate = Access(CallersFile(path)).gate(METHOD)
    assert gate is not None
    WHO.set(None)
    try:
        gate(call)
    except UnknownCaller:
        assert WHO.get() is None
    return WHO.get()


@pytest.mark.parametrize(
    ("metadata", "known"),
    [
        ((("authorization", f"Bearer {TOKEN}"),), True),
        ((("x", "y"), ("authorization", f"bearer  {TOKEN} ")), True),
        ((("authorization", f"Bearer {TOKEN}x"),), False),
        ((("authorization", f"Basic {TOKEN}"),), False),
        ((("authorization", TOKEN),), False),
        ((("authorization", b"Bearer bytes"),), False),
        ((("authorization", "Bearer "),), False),
        ((("authorization", "Bearer \udcff"),), False),
        ((("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")), False),
        ((), False),
    ],
)  # fmt: skip
def test_a_token_says_who_calls(tmp_path: Path, metadata: tuple[tuple[str, str | bytes], ...], *, known: bool) -> None:
    """Who sends a caller's token is that caller, with what its role may; everybody else is nobody."""
    caller = let_in(written(tmp_path, GOOD), Called(*metadata))
    assert (caller is not None) is known
    if caller is not None:
        assert (caller.name, caller.role, caller.depth) == ("desk", Role.DESKTOP, Depth.AGENT)


def test_a_certificate_says_who_calls(tmp_path: Path) -> None:
    """One of its alternative names does, or its common name where it has none; two callers' names are nobody's."""
    entries = (("one", "one.example"), ("two", "two.example"))
    rows = "".join(f"  - {{name: {name}, role: desktop, certificate: {cert}}}\n" for name, cert in entries)
    path = written(tmp_path, "callers:\n" + rows)
    for call, name in (
        (Called(names=("x.example", "one.example")), "one"),
        (Called(common="two.example"), "two"),
        (Called(names=("one.example", "two.example")), None),
        (Called(names=("x.example",), common="two.example"), None),
        (Called(("authorization", "Bearer wrong"), names=("one.example",)), None),
        (Called(), None),
    ):
        caller = let_in(path, call)
        assert (caller and caller.name) == name


def test_a_caller_goes_as_far_as_its_role_and_less_where_its_entry_says_so(tmp_path: Path) -> None:
    """Channels, depth and quotas come from the role; the entry names others, and never a deeper depth."""
    rows = (
        f"{{name: usual, role: desktop, token_sha256: {DIGEST}}}",
        f"{{name: less, role: desktop, token_sha256: {OTHER}, channels: [phone], depth: customer, calls_per_s: 2.5, "
        "customers_per_hour: 7}",
    )
    found = read_callers(written(tmp_path, "callers:\n" + "".join(f"  - {row}\n" for row in rows)))
    usual, less = found.by_token(TOKEN), found.by_token("another")
    assert usual is not None
    assert usual.channels == {"desk", "desktop"}
    assert less is not None
    assert less.channels == {"phone"}
    assert less.depth is Depth.CUSTOMER
    assert (less.calls_per_s, less.customers_per_hour) == (2.5, 7)


def test_no_token_is_in_what_is_printed(tmp_path: Path) -> None:
    """Callers do not print what their tokens are known by."""
    printed = repr(read_callers(written(tmp_path, GOOD)))
    assert DIGEST not in printed
    assert repr(bytes.fromhex(DIGEST)) not in printed


def test_what_is_no_bearer_token_is_nobodys() -> None:
    """Each `authorization` counts, so that a good one cannot hide behind a bad one."""
    assert list(bearers((("authorization", "Bearer a"), ("authorization", "Basic b"), ("x", "Bearer c")))) == ["a", ""]


BAD = {
    "no section": "people: []\n",
    "another section": GOOD + "people: []\n",
    "no list": "callers: desk\n",
    "no mapping": "callers: [desk]\n",
    "no name": f"callers: [{{role: desktop, token_sha256: {DIGEST}}}]\n",
    "no role": f"callers: [{{name: desk, token_sha256: {DIGEST}}}]\n",
    "no such role": f"callers: [{{name: desk, token_sha256: {DIGEST}, role: boss}}]\n",
    "no such depth": GOOD.replace("token", "depth: boss, token"),
    "too deep": GOOD.replace("token", "depth: auditor, token"),
    "no token": "callers: [{name: desk, role: desktop}]\n",
    "both": GOOD.replace("token", "certificate: a.example, token"),
    "the token itself": f"callers: [{{name: desk, token_sha256: {TOKEN!r}, role: desktop}}]\n".replace('"', "'"),
    "a short digest": f"callers: [{{name: desk, token_sha256: {DIGEST[:-1]}, role: desktop}}]\n",
    "the digest of nothing": GOOD.replace(DIGEST, sha256(b"").hexdigest()),
    "a name twice": GOOD + f"  - {{name: desk, token_sha256: {OTHER}, role: desktop}}\n",
    "a token twice": GOOD + f"  - {{name: shop, token_sha256: {DIGEST}, role: email}}\n",
    "a key too many": GOOD.replace("role", "owner: me, role"),
    "web without a customer": GOOD.replace("desktop", "web"),
    "a customer of the desk": GOOD.replace("token", "customer: a, token"),
    "channels of an operator": GOOD.replace("desktop", "operator, channels: [web]"),
    "no channels": GOOD.replace("token", "channels: [], token"),
    "customers of an operator": GOOD.replace("desktop", "operator, customers_per_hour: 5"),
    "no calls": GOOD.replace("token", "calls_per_s: 0, token"),
    "no YAML": "callers: [",
    "an alias": "callers: &a []\nmore: *a\n",
    "empty": "",
    "no text": b"\xff\xfe",
    "too large": b"#" * (LARGEST_FILE + 1),
    "a secret algorithm": ISSUER.replace("roles", "algorithms: [HS256], roles"),
    "no algorithm": ISSUER.replace("roles", "algorithms: [none], roles"),
    "no audience": ISSUER.replace("audience: tact, ", ""),
    "no roles": ISSUER.replace("[web]", "[]"),
    "keys that are not there": ISSUER.replace("keys.json", "none.json"),
    "keys that others can change": ISSUER.replace("keys.json", "'http://login.example/keys'"),
    "a long leeway": ISSUER.replace("roles", "leeway: 1h, roles"),
    "an issuer twice": ISSUER + ISSUER.partition("\n")[2],
    "channels of two roles": ISSUER.replace("[web]", "[web, desktop], channels: [web]"),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_file_that_is_wrong_is_refused_in_words(tmp_path: Path, text: str | bytes) -> None:
    """What cannot be used is refused with its file, and what may be a token is never told."""
    with pytest.raises(CallersRefused) as refused:
        read_callers(written(tmp_path, text))
    assert "callers.yaml" in str(refused.value)
    assert "contact centre" not in str(refused.value)


def test_nothing_is_nobodys_token() -> None:
    """Headers without a token are nobody's, even where the digest of the empty text got among the callers."""
    boss = Caller("boss", Role.PRIVACY_OFFICER, frozenset(), Depth.AUDITOR)
    access = Access(SameCallers(Callers({sha256(b"").digest(): boss})))
    gate = access.gate("tact.v1.RightsService/EraseCustomer")
    assert gate is not None
    for value in ("", "Bearer ", "Bearer", "Basic eDp5", b"Bearer x"):
        with pytest.raises(UnknownCaller):
            gate(Called(("authorization", value)))


CANARY = "4917055501734"
MISPLACED = (
    "{name: CANARY, role: web, customer: CANARY, token_sha256: CANARY}",
    "{name: a, role: CANARY, token_sha256: 'CANARY', depth: CANARY, channels: CANARY, calls_per_s: CANARY}",
    "{name: b, role: desktop, depth: 'CANARY', channels: [CANARY, 'CANARY', 'CANARY'], customers_per_hour: CANARY}",
    "{name: c, CANARY: 1, CANARY: 2, certificate: CANARY, calls_per_s: 'CANARY'}",
    "{name: d, role: desktop, token_sha256, CANARY}",
    "{name: cCANARY, role: web, customer: cCANARY, token_sha256: CANARY}",
    "{name: cCANARY, role: cCANARY}",
    "CANARY",
    "{name: &CANARY e, role: !CANARY web, customer: *CANARY}",
    "{name: 'CANARY",
)
KEYS_MISPLACED = (
    "{name: CANARY, issuer: CANARY, audience: CANARY, keys: CANARY, roles: [CANARY], leeway: CANARY}",
    "{name: c, issuer: CANARY0, audience: 'x', keys: 'CANARY', roles: CANARY, algorithms: [xCANARY, 'CANARY']}",
    "{name: c, issuer: 'CANARY', audience: x, keys: 'http://me:CANARY@login/CANARY', roles: [web], role_claim: CANARY}",
    "{name: d, issuer: 'CANARY', audience: x, keys: 'ftp://CANARY/', roles: [web], customer_claim: CANARY}",
)


@pytest.mark.parametrize(
    "text",
    [*(f"callers:\n  - {one}\n  - {one}\n" for one in MISPLACED), *(f"issuers:\n  - {one}\n" for one in KEYS_MISPLACED),
     "issuers:\n" + "".join(f"  - {one}\n" for one in KEYS_MISPLACED), "CANARY: []\n", "CANARY", "- CANARY\n"],
)  # fmt: skip
def test_no_value_of_the_file_is_ever_told(tmp_path: Path, text: str) -> None:
    """Customers' ids, tokens in the wrong place, and whatever else stands there are in no refusal, only their lines."""
    with pytest.raises(CallersRefused) as refused:
        read_callers(written(tmp_path, text.replace("CANARY", CANARY)))
    assert CANARY not in str(refused.value)
    assert "callers.yaml:" in str(refused.value)


def test_an_issuer_that_is_right_is_taken(tmp_path: Path) -> None:
    """The bad ones above differ from a good one in what they are there for, and in nothing else."""
    read_callers(written(tmp_path, GOOD + ISSUER))
    read_callers(written(tmp_path, ISSUER))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """No service starts with a file of callers that it cannot read."""
    with pytest.raises(CallersRefused, match="cannot be read"):
        CallersFile(tmp_path / "none.yaml")


async def test_no_call_waits_for_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to read, calls go on with the callers of before, and the new ones count once they are read;
    what is refused leaves no source of keys behind.
    """
    now_s, ready = [0.0], threading.Event()
    file = CallersFile(written(tmp_path, GOOD), lambda: now_s[0])
    monkeypatch.setattr(callers, "read_callers", lambda *_: ready.wait(5.0) and Callers())
    written(tmp_path, GOOD + " ")
    for now_s[0] in (1.0, 2.0, 3.0):
        assert file.now.by_token(TOKEN)
    ready.set()
    await asyncio.to_thread(file._reading.join, 5.0)
    assert file.now.by_token(TOKEN) is None
    file.close()
    monkeypatch.undo()
    sources = Sources(tmp_path)
    for text in (ISSUER.replace("tact,", "tact, more: 1,"), GOOD):
        with suppress(CallersRefused):
            read_callers(written(tmp_path, text), sources)
    assert not sources._open


def test_a_changed_file_counts_within_a_second(tmp_path: Path) -> None:
    """A token that is taken away counts no more from the next look on; a bad file changes nothing, nor does none."""
    now_s = [0.0]
    path = written(tmp_path, GOOD)
    file = CallersFile(path, lambda: now_s[0])

    def depth() -> Depth | None:
        _ = file.now
        if (reading := file._reading).ident is not None:
            reading.join(5.0)
        caller = file.now.by_token(TOKEN)
        return caller.depth if caller else None

    written(tmp_path, GOOD.replace("token", "depth: customer, token"))
    assert depth() is Depth.AGENT
    now_s[0] = 1.0
    assert depth() is Depth.CUSTOMER
    for text in (b"\xff", None, GOOD.replace(DIGEST, OTHER)):
        path.unlink() if text is None else written(tmp_path, text)
        now_s[0] += 1.0
        assert depth() is (None if isinstance(text, str) else Depth.CUSTOMER)

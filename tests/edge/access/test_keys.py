"""The keys that tokens are checked with change while the service goes on, and their source may be away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.rpc.access import keys, signed
from service.rpc.access.keys import NO_KEYS, KeyFile, KeysRefused, KeyUrl, key_url, read_keys
from service.rpc.access.signed import Issuer, SignedTokens
from service.rpc.access.who import Role
from tests.edge.access.authority import AUDIENCE, ISSUER, Signer

SOON_S = 5.0


class Source:
    """A web server with a key set, which can be away, slow, or full of rubbish."""

    def __init__(self, content: bytes) -> None:
        self.content, self.status, self.drip_s, self.asked = content, 200, 0.0, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                for byte in outer.content if outer.drip_s else ():
                    try:
                        self.wfile.write(bytes((byte,)))
                    except ConnectionError:  # whoever asked has had enough
                        return
                    time.sleep(outer.drip_s)
                if not outer.drip_s:
                    self.wfile.write(outer.content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"

    @contextmanager
    def up(self) -> Iterator[Source]:
        """Serve until the end."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def tokens_of(source: keys.KeySource, clock_s: Callable[[], float] = time.time) -> SignedTokens:
    """Return what knows the callers of an issuer with these keys."""
    issuer = Issuer("login", ISSUER, AUDIENCE, ("ES256",), (Role.WEB,), source)
    return SignedTokens((issuer,), clock_s)


def within(seconds: float, true: Callable[[], bool]) -> bool:
    """Tell whether something comes true in time."""
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:
        time.sleep(0.01)
    return true()


def test_a_changed_key_file_counts_within_a_second(tmp_path: Path) -> None:
    """A key that is taken out of the file lets nobody in any more, tokens that were checked before included; a bad file
    changes nothing.
    """
    old, new, now_s = Signer("old"), Signer("new"), [0.0]
    path = tmp_path / "keys.json"
    path.write_bytes(old.keys)
    tokens = tokens_of(KeyFile(path, lambda: now_s[0]))
    before, after = old.token(), new.token()
    assert tokens.caller(before)
    assert tokens.caller(after) is None
    path.write_bytes(b"{")
    now_s[0] = 1.0
    assert tokens.caller(before)
    path.write_bytes(new.keys)
    now_s[0] = 2.0
    assert tokens.caller(after)
    assert tokens.caller(before) is None


def test_keys_from_a_url_stay_while_it_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key is fetched when a token names it, soon but not at once again; while the source is away, redirects, or
    tells rubbish, the keys that were there go on.
    """
    monkeypatch.setattr(keys, "AGAIN_AFTER_S", 0.05)
    old, new = Signer("old"), Signer("new")
    with Source(old.keys).up() as source:
        fetching = KeyUrl(source.url, every_s=3600.0)
        tokens = tokens_of(fetching)
        assert tokens.caller(old.token())
        source.content = new.keys
        assert within(SOON_S, lambda: tokens.caller(new.token()) is not None)
        assert tokens.caller(old.token()) is None
        for status, content in ((500, b""), (302, old.keys), (200, b"rubbish"), (200, old.keys + b" " * 300_000)):
            source.status, source.content, asked = status, content, source.asked
            tokens.caller(old.token())  # which names a key that is not there, and so has it fetched
            ends_s = time.monotonic() + SOON_S
            while source.asked <= asked + 1 and time.monotonic() < ends_s:
                time.sleep(0.01)
            assert source.asked > asked + 1
            assert tokens.caller(new.token())
    assert within(SOON_S, lambda: tokens.caller(new.token()) is not None)
    fetching.close()


def test_a_source_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits a bounded time for the first keys, and a fetch that drips is cut off in the end."""
    monkeypatch.setattr(keys, "WITHIN_S", 0.3)
    with Source(Signer().keys).up() as source:
        source.drip_s = 0.05
        began_s = time.monotonic()
        fetching = KeyUrl(source.url, wait_s=0.2)
        assert time.monotonic() - began_s < 1.0
        assert fetching.now is NO_KEYS
        with pytest.raises(KeysRefused):
            keys.fetched(key_url(source.url))
        assert time.monotonic() - began_s < SOON_S
        fetching.close()


@pytest.mark.parametrize(
    "url",
    ["http://login.example/keys", "ftp://127.0.0.1/", "https://me:secret@login.example/", "https:///keys", "http://["],
)
def test_keys_come_only_from_where_nobody_can_change_them(url: str) -> None:
    """Neither without TLS from elsewhere, nor with a password in the URL, which is not told either."""
    with pytest.raises(KeysRefused) as refused:
        key_url(url)
    assert "secret" not in str(refused.value)


def public(**more: object) -> bytes:
    """Return a key set with a changed key."""
    (key,) = json.loads(Signer().keys)["keys"]
    return json.dumps({"keys": [{**key, **more}]}).encode()


def private_set() -> bytes:
    """Return a key set with the half of a key that only its owner may have."""
    own = ec.generate_private_key(ec.SECP256R1())
    return json.dumps({"keys": [{**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own)), "kid": "own"}]}).encode()


def rsa_set(bits: int) -> bytes:
    """Return a key set with an RSA key of so many bits."""
    key = rsa.generate_private_key(65537, bits).public_key()
    return json.dumps({"keys": [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key))]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1]}', b'{"keys": []}', public(use="enc"), public(d="c2VjcmV0"),
        public(kty="oct", k="c2VjcmV0"), public(x="AA"), public(kid=1), public(crv="P-1"), rsa_set(1024),
        private_set(), b'{"keys": ' + b"[" * 100_000, public(kty="AKP"), public(kty=[]),
    ],
)  # fmt: skip
def test_a_bad_key_set_is_refused(content: bytes) -> None:
    """What holds secrets, too short a key, or none that signs, is no key set, and what is wrong is said without it."""
    with pytest.raises(KeysRefused) as refused:
        read_keys(content)
    assert "c2VjcmV0" not in str(refused.value)


def test_keys_of_unknown_kinds_are_left_out() -> None:
    """RFC 7517, section 5: what a newer issuer adds to its set keeps nobody out, and a secret in it refuses all."""
    (good,) = json.loads(Signer("new").keys)["keys"]
    odd = ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, {"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA"},
           {"kty": "OKP", "crv": "X25519", "x": "A" * 43}, {**good, "kid": 7}, {**good, "use": "enc"})  # fmt: skip
    assert list(read_keys(json.dumps({"keys": [*odd, good]}).encode()).keys) == ["new"]
    for bad in ({"kty": "oct", "k": "AA"}, {**good, "kid": "x", "d": "AA"}, {"kty": "AKP", "k": "AA"}):
        with pytest.raises(KeysRefused):
            read_keys(json.dumps({"keys": [good, bad]}).encode())


def test_nothing_ends_the_thread_that_fetches(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong in it, it goes on, and tells of what went wrong no more than what kind of thing it was."""
    monkeypatch.setattr(keys, "AGAIN_AFTER_S", 0.01)
    answers = iter([RecursionError("secret"), ZeroDivisionError("secret")])

    def fetched(_: object) -> bytes:
        if (error := next(answers, None)) is not None:
            raise error
        return Signer("new").keys

    monkeypatch.setattr(keys, "fetched", fetched)
    fetching = KeyUrl("http://127.0.0.1:1/", every_s=0.01)
    assert within(SOON_S, lambda: "new" in fetching.now.keys)
    fetching.close()
    assert "RecursionError" in caplog.text
    assert "secret" not in caplog.text


def test_a_token_ends_in_time_though_it_was_checked_before(tmp_path: Path) -> None:
    """A token that was checked is remembered until it ends, with the leeway of clocks, and not a second longer."""
    (tmp_path / "keys.json").write_bytes((signer := Signer()).keys)
    now_s = [float(int(time.time()))]
    tokens = tokens_of(KeyFile(tmp_path / "keys.json"), lambda: now_s[0])
    token = signer.token(exp=int(now_s[0]) + 100, nbf=None, iat=None)
    assert tokens.caller(token)
    now_s[0] += 129.0
    assert tokens.caller(token)
    now_s[0] += 1.0
    assert tokens.caller(token) is None


def test_a_tokens_times_allow_for_clocks_that_differ(tmp_path: Path) -> None:
    """Half a minute early is good enough, more is not; nonsense is no time."""
    (tmp_path / "keys.json").write_bytes((signer := Signer()).keys)
    now_s = int(time.time())
    tokens = tokens_of(KeyFile(tmp_path / "keys.json"), lambda: float(now_s))
    for claims, good in (
        ({"nbf": now_s + 30}, True), ({"nbf": now_s + 31}, False), ({"iat": now_s + 31}, False),
        ({"exp": now_s - 29}, True), ({"exp": now_s - 30}, False), ({"exp": True}, False), ({"exp": "soon"}, False),
        ({"exp": 1e300}, False), ({"aud": ["x", AUDIENCE]}, True), ({"sub": 7}, False), ({"sub": "a\n"}, False),
        ({"tact_role": "desktop"}, False), ({"tact_role": ["web"]}, False), ({"iss": [ISSUER]}, False),
    ):  # fmt: skip
        assert (tokens.caller(signer.token(**claims)) is not None) is good, claims


def test_no_more_tokens_are_remembered_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a thousand good tokens takes up no more room than a few."""
    monkeypatch.setattr(signed, "MOST_KEPT", 3)
    (tmp_path / "keys.json").write_bytes((signer := Signer()).keys)
    tokens = tokens_of(KeyFile(tmp_path / "keys.json"))
    assert all(tokens.caller(signer.token(sub=f"c{number}")) for number in range(9))
    assert len(tokens._kept) == 3

"""The pages that the service ships: where they are wanted, hardened, small on the wire, and nothing beside them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from service.rpc.web.door import HARDENED
from service.rpc.web.pages import FOLDER, FOR_EVER, read_pages
from service.rpc.web.settings import WebSettings
from tests.live.browser.world import Answered, Port, opened

WITH_PAGES = WebSettings(0, (), True)
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\son\w+\s*=|\sstyle\s*=|javascript:|https?://(?!www\.w3\.org/)")
POLICY = dict(HARDENED)[b"content-security-policy"].decode()


async def read(port: Port, path: str, method: str = "GET", **headers: str) -> Answered:
    """Ask for a page; an answer to HEAD has no body, whatever length it names."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in {"host": "a", **headers}.items())
    async with port.wire() as wire:
        await wire.send(f"{method} {path} HTTP/1.1\r\n{lines}connection: close\r\n\r\n".encode())
        if method != "HEAD":
            return await wire.answer()
        head = (await wire.reader.read()).decode()
        assert head.endswith("\r\n\r\n")
        named = dict(line.lower().split(": ", 1) for line in head.strip().split("\r\n")[1:])
        return Answered(int(head.split()[1]), named, b"")


async def test_pages_are_served_where_they_are_wanted(tmp_path: Path) -> None:
    """The first page stands at `/`; without --desktop there is none, and no other file is ever served."""
    async with opened(tmp_path, web=WITH_PAGES, guarded=True) as port:
        first = await read(port, "/")
        assert (first.status, first.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert first.body == (FOLDER / "index.html").read_bytes()
        for path in (
            "/../pages.py",
            "/%2e%2e/build.mjs",
            "/static/index.html",
            "//",
            "/index.html/",
            "/src/words/de.js",
        ):
            assert (await read(port, path)).status == 404, path
        assert (await read(port, "/", "POST", content_length="0")).status == 405
    async with opened(tmp_path, guarded=True) as port:
        assert (await read(port, "/")).status == 404


async def test_every_answer_is_hardened(tmp_path: Path) -> None:
    """No page of ours is framed, sniffed at or sends where it came from, and none runs a script of another origin."""
    async with opened(tmp_path, web=WITH_PAGES, guarded=False) as port:
        answers = [await read(port, path) for path in ("/", "/index.js", "/nothing", "/tact.v1.LogService/ReadLog")]
        answers.append(await port.call("tact.v1.ControlService/GetStatus"))
    for answer in answers:
        for name, value in HARDENED:
            assert answer.headers[name.decode()] == value.decode()
    assert answers[-1].headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY
    assert "frame-ancestors 'none'" in POLICY
    assert "default-src 'none'" in POLICY


async def test_a_page_is_not_sent_twice(tmp_path: Path) -> None:
    """Who has it is told so; files that are named by what they hold are kept for ever, all others are asked about."""
    async with opened(tmp_path, web=WITH_PAGES, guarded=False) as port:
        first = await read(port, "/index.js")
        again = await read(port, "/index.js", if_none_match=f'"x", W/{first.headers["etag"]}')
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert first.headers["cache-control"] == "no-cache"
        head = await read(port, "/index.js", "HEAD")
        assert head.headers["content-length"] == first.headers["content-length"]
    kept = {path: page.kept == FOR_EVER for path, page in read_pages().items()}
    assert kept["/index.js"] is False
    assert all(kept[path] is bool(re.search(r"-[A-Z0-9]{8}\.", path)) for path in kept)


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [("gzip, br", True), ("br;q=1.0, gzip;q=0.8", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_pages_are_compressed_for_who_takes_that(tmp_path: Path, accepts: str, packed: bool) -> None:
    """Compressed once, when the service starts; the same bytes come out either way."""
    async with opened(tmp_path, web=WITH_PAGES, guarded=False) as port:
        said = await read(port, "/index.js", accept_encoding=accepts)
    assert (said.headers.get("content-encoding") == "gzip") is packed
    plain = (FOLDER / "index.js").read_bytes()
    assert (gzip.decompress(said.body) if packed else said.body) == plain
    assert said.headers["vary"] == "accept-encoding"


def test_the_pages_keep_to_the_policy() -> None:
    """No page has a script, a style or a handler within it, or anything of another origin: the policy would stop it."""
    pages = list(FOLDER.rglob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert INLINE.findall(text) == [], page.name
        for named in re.findall(r'(?:src|href)="([^"#]+)"', text):
            assert (FOLDER / named.removeprefix("/")).is_file() or f"/{named.removeprefix('/')}" in read_pages(), named


def test_what_breaks_the_policy_is_recognized() -> None:
    """The search above finds what a browser would refuse."""
    for bad in (
        "<script>x</script>",
        '<p onclick="x">',
        '<p style="x">',
        "<style>",
        '<script src="https://a.example/x">',
    ):
        assert INLINE.search(bad), bad
    assert not INLINE.search('<script type="module" src="index.js"></script>')

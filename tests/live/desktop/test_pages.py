"""The pages as they are shipped: made from their sources, small, and with every word in every language."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.conftest import absent

WEB = Path(__file__).parents[3] / "service" / "web"
SOURCES, SHIPPED = WEB / "src", WEB / "static"
MOST_BYTES = 60_000
BROUGHT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']\./([\w.-]+\.js)["']""")
ASKED = re.compile(r"""\bt\(\s*["'`]([^"'`$]+)["'`]""")
ASKED_OF_A_KIND = re.compile(r"\bt\(`([^`$]+)\$\{")


def test_the_shipped_pages_are_made_from_their_sources(tmp_path: Path) -> None:
    """`make desktop` makes just what is shipped, byte for byte."""
    if shutil.which("node") is None or not (WEB / "node_modules" / "esbuild").exists():
        absent("There is no node, or no esbuild; `npm ci` in service/web brings it.")
    made = tmp_path / "static"
    made.mkdir()
    subprocess.run(["node", WEB / "build.mjs", made], check=True, timeout=60)
    names = sorted(path.name for path in made.iterdir())
    assert names == sorted(path.name for path in SHIPPED.iterdir())
    assert [name for name in names if (made / name).read_bytes() != (SHIPPED / name).read_bytes()] == []


def test_each_page_is_small() -> None:
    """Whoever opens a page loads less than 60 kB of script, with all that its script brings along."""
    pages = {path.name: scripts_of(path) for path in SHIPPED.glob("*.html")}
    assert set().union(*pages.values()) == {path.name for path in SHIPPED.glob("*.js")}
    sizes = {name: len(gzip.compress((SHIPPED / name).read_bytes(), 9)) for name in set().union(*pages.values())}
    weights = {page: sum(sizes[name] for name in names) for page, names in pages.items()}
    assert len(weights) == 2
    assert max(weights.values()) < MOST_BYTES, weights


def scripts_of(page: Path) -> set[str]:
    """Return the names of the scripts that a page loads, itself or through another."""
    waiting = re.findall(r'<script[^>]*\bsrc="([^"]+)"', page.read_text(encoding="utf-8"))
    loaded: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in loaded:
            loaded.add(name)
            waiting += BROUGHT.findall((SHIPPED / name).read_text(encoding="utf-8"))
    return loaded


def test_no_page_needs_a_script_or_a_style_within_it() -> None:
    """What the service allows its pages by their policy is all they need: nothing inline, nothing from elsewhere."""
    pages = list(SHIPPED.glob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text), page.name
        assert not re.search(r"""(src|href)=["'](https?:)?//""", text), page.name


def test_every_word_is_there_in_every_language() -> None:
    """Both catalogues have the same keys, and the same {slots} in each."""
    german = json.loads((SOURCES / "words" / "de.json").read_text(encoding="utf-8"))
    english = json.loads((SOURCES / "words" / "en.json").read_text(encoding="utf-8"))
    assert german.keys() == english.keys()
    assert [key for key in german if slots(german[key]) != slots(english[key])] == []


def test_every_word_that_is_asked_for_is_there() -> None:
    """No script asks for a word that the catalogue does not have."""
    words = set(json.loads((SOURCES / "words" / "en.json").read_text(encoding="utf-8")))
    scripts = {path.name: path.read_text(encoding="utf-8") for path in SOURCES.glob("*.js")}
    mine = {name: text for name, text in scripts.items() if name != "strategist.js"}
    asked = {key for text in mine.values() for key in ASKED.findall(text)}
    kinds = {key for text in mine.values() for key in ASKED_OF_A_KIND.findall(text)}
    assert len(asked) > 50
    assert asked - words == set()
    assert [kind for kind in kinds if not any(word.startswith(kind) for word in words)] == []


def slots(words: str | dict[str, str]) -> set[str]:
    """Return the names that are filled into words."""
    texts = words.values() if isinstance(words, dict) else (words,)
    return {name for text in texts for name in re.findall(r"\{(\w+)\}", text)}

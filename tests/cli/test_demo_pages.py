"""Where the demo's pages are is said, and a browser is opened only for somebody who sits before a screen."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, clean

SHOWS = "from service.cli.demo import show_pages; show_pages(1234)"
PAGE = "http://127.0.0.1:1234/#anna-ticket"


@pytest.mark.parametrize(
    ("terminal", "screen", "opens"),
    [(True, True, True), (True, False, False), (False, True, False)],
    ids=["before a screen", "over ssh", "in a script"],
)
def test_a_browser_opens_only_before_a_screen(tmp_path: Path, terminal: bool, screen: bool, opens: bool) -> None:
    """On a terminal with a display the page opens in the browser of choice; else its address is only said."""
    if sys.platform == "darwin" and not screen:
        pytest.skip("A Mac always has a screen.")
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    env = clean({"BROWSER": f"{browser} %s"})
    env = {name: value for name, value in env.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    ours, theirs = pty.openpty()
    out = theirs if terminal else subprocess.PIPE
    ran = subprocess.run(
        [sys.executable, "-c", SHOWS], cwd=ROOT, env=env | ({"DISPLAY": ":7"} if screen else {}), stdout=out,
        timeout=30, check=True,
    )  # fmt: skip
    said = os.read(ours, 4096) if terminal else ran.stdout
    os.close(ours)
    os.close(theirs)
    assert PAGE.encode() in said
    assert opened.exists() == opens
    assert not opens or opened.read_text() == PAGE

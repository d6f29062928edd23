"""The image: what it copies exists, and it runs as nobody special."""

import re
from pathlib import PurePosixPath

from tests.project.tree import ROOT

DOCKERFILE = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
FINAL_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def copied() -> list[str]:
    """Return every path that the image takes from the project."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_everything_the_image_copies_exists_and_is_sent() -> None:
    """Each COPY names a path that is there and that .dockerignore lets through."""
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied()
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    assert {PurePosixPath(source).parts[0] for source in copied()} == sent


def test_the_image_does_not_run_as_root() -> None:
    """The last user of the image is a number other than 0, so that an orchestrator can verify it."""
    users = re.findall(r"^USER (\d+)(?::\d+)?$", FINAL_STAGE, re.MULTILINE)
    assert users
    assert int(users[-1]) > 0


def test_the_image_asks_the_service_for_its_health() -> None:
    """The health check speaks gRPC through the command, in exec form, as the image has no shell tools for it."""
    assert re.search(r'^HEALTHCHECK .*CMD \["tact", "health"\]$', FINAL_STAGE, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["tact", "serve"\]$', FINAL_STAGE, re.MULTILINE)


def test_the_image_installs_from_the_locks_only() -> None:
    """Each pip install either checks hashes or reaches for no index at all."""
    installs = re.findall(r"pip (?:install|wheel) [^&\n]*", DOCKERFILE)
    assert installs
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []

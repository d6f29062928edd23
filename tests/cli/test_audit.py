"""Who changed what, by commands to a service of its own process."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from redis import Redis

from service.cli.program import run
from service.store import keys
from tests.cli.commands import Process
from tests.service.editions import write_edition


def test_it_is_exported_and_its_end_is_told(
    clean_store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text, JSON lines and CSV, within bounds of time; exit code 1 where the record was changed."""
    folder = write_edition(tmp_path / "served", 0)
    with Process("serve", "--store", clean_store_url, "--strategy", folder, "--port", "0", "--json") as process:
        served = process.serving()

        def tact(*words: str, code: int = 0) -> tuple[str, str]:
            assert run([*words, "--target", served.target]) == code
            seen = capsys.readouterr()
            return seen.out, seen.err

        tact("switch", "off", "greet", "--because", "=HYPERLINK()", "--by", "olga")
        text, said = tact("audit", "--what", "switch")
        assert " switch greet: on -> off  by olga from 127.0.0.1 (=HYPERLINK())\n" in text
        assert said.startswith("2 entries, each vouched for")
        (line,) = tact("audit", "--what", "switch", "--format", "jsonl")[0].splitlines()
        assert json.loads(line)["because"] == "=HYPERLINK()"
        rows = list(csv.DictReader(io.StringIO(tact("audit", "--format", "csv")[0])))
        assert [row["kind"] for row in rows] == ["strategy", "switch"]
        assert rows[1]["because"] == "'=HYPERLINK()", "no spreadsheet takes it for a formula"
        assert tact("audit", "--to", "2020-01-01T00:00:00Z")[0] == ""
        assert tact("audit", "--after", rows[0]["position"], "--format", "jsonl")[0].count("\n") == 1
        assert "no moment" in tact("audit", "--from", "noon", code=2)[1]
        late = ("--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z")
        assert "--from is later" in tact("audit", *late, code=2)[1]
        assert "ask for them with --what" in tact("audit", "--customer", "anna", code=2)[1]
        with Redis.from_url(clean_store_url) as store:
            store.xdel(keys.audit_key(), rows[0]["position"])
        assert "not as it was written" in tact("audit", code=1)[1].splitlines()[-1]

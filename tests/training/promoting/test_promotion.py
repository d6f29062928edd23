"""A model becomes the champion through the gate and in no other way."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models.artifacts import ArtifactRefused, read_manifest
from models.registry import champion_of, crown, promotions
from service.cli.tending import NOTHING_LATER
from tests.cli.commands import report, tact, typed
from tests.models.forgery import restamp
from tests.models.poisons import POISONS
from tests.training.promoting.world import Registry, made
from training.errors import TrainingRefused
from training.progress import progress
from training.promoting.gate import Tolerances
from training.promoting.promotion import Document, Looked, Order, promoted

GROUPS = ("past.tier",)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Make the world once."""
    return made(tmp_path_factory.mktemp("registry"))


@pytest.fixture
def registry(world: Registry, tmp_path: Path) -> Registry:
    """Return a registry in which nothing was promoted yet."""
    models = Path(shutil.copytree(world.folder / "models", tmp_path / "models"))
    good, bad = (models / "small" / place.name for place in (world.good, world.bad))
    return replace(world, folder=tmp_path, good=good, bad=bad)


def told(order: Order) -> Document:
    """Promote, and return what came of it."""
    with progress() as bars:
        return promoted(order, bars)


def failed(document: Document) -> dict[str, str]:
    """Return the criteria that failed, with their words."""
    return {one["name"]: one["words"] for one in document["criteria"] if not one["passed"]}


def test_a_good_model_passes_when_somebody_has_looked_at_fairness(registry: Registry) -> None:
    """The first time the table is missing from what was agreed; with its code the model is the champion."""
    order = registry.order(registry.good, None, groups=GROUPS)
    first = told(order)
    assert failed(first).keys() == {"fairness"}
    assert champion_of(registry.good.parent) is None
    assert {group["group"] for group in first["fairness"]} == {"basic", "gold", "unknown"}
    page = registry.folder / "gate.html"
    again = told(replace(order, seen=first["fairness_code"], by="ada", report=page))
    html = page.read_text()
    assert all(words in html for words in (first["fairness_code"], "Fairness by past.tier", "<svg", "All criteria"))
    assert "http" not in html.replace("http://www.w3.org", "").replace("https://www.w3.org", "")
    assert (again["passed"], again["by"], again["against"]) == (True, "ada", "priors")
    assert champion_of(registry.good.parent) == registry.good
    assert [one["passed"] for one in promotions(registry.good.parent)] == [False, True]


def test_a_worse_model_is_refused_on_every_figure_and_the_champion_stays(registry: Registry) -> None:
    """What learned nothing true loses in log loss, calibration and value, each by its interval."""
    crown(registry.good)
    document = told(registry.order(registry.bad, registry.good, groups=GROUPS, largest_gap=1.0))
    assert failed(document).keys() == {"log loss", "calibration error", "value"}
    assert all("worse, by its 95 % interval" in words for words in failed(document).values())
    assert champion_of(registry.good.parent) == registry.good


def test_a_better_model_is_called_better_only_by_its_interval(registry: Registry) -> None:
    """Against what learned nothing, the good model is better; against itself it is not worse, and no claim is made."""
    crown(registry.bad)
    document = told(registry.order(registry.good, registry.bad, groups=GROUPS, largest_gap=1.0))
    words = {one["name"]: one["words"] for one in document["criteria"]}
    assert document["passed"]
    assert all("better, by its 95 % interval" in words[name] for name in ("log loss", "calibration error", "value"))
    twin = shutil.copytree(registry.good, registry.folder / "twin")
    restamp(Path(twin), seed=9)
    place = registry.good.with_name(_digits(Path(twin)))
    Path(twin).rename(place)
    same = told(registry.order(place, registry.good, groups=GROUPS, largest_gap=1.0))
    assert same["passed"]
    assert all("no claim of better" in one["words"] for one in same["criteria"] if one["difference"] is not None)


def _digits(folder: Path) -> str:
    return read_manifest(folder).version.rpartition("@")[2]


@pytest.mark.parametrize(
    ("more", "name", "words"),
    [
        ({"looked": Looked(3, ("A customer in debt is not sold to.",), 9, ())}, "guardrails", "1 of 3 cases"),
        ({"looked": Looked(3, (), 9, ("no-upsell",))}, "guardrails", "no-upsell"),
        ({"looked": Looked()}, "guardrails", "write cases"),
        ({"groups": ()}, "fairness", "--groups"),
        ({"seen": "00000000"}, "fairness", "another one than 00000000"),
        ({"largest_gap": 0.001}, "fairness", "0.001 is allowed"),
    ],
    ids=["a-case", "an-objection", "nothing-looked-at", "no-groups", "another-table", "a-gap"],
)
def test_whatever_else_fails_keeps_the_gate_shut(
    registry: Registry, more: dict[str, object], name: str, words: str
) -> None:
    """One criterion is enough, however good the rest is; the reason is told."""
    order = registry.order(registry.good, None, **{"groups": GROUPS, "largest_gap": 1.0, **more})
    order = replace(order, largest_gap=None) if "seen" in more else order
    document = told(order)
    assert not document["passed"]
    assert words in failed(document)[name]
    assert champion_of(registry.good.parent) is None


def test_nobody_is_judged_on_what_it_learned_from(registry: Registry) -> None:
    """A log that ends where the model's data end is refused in words; few decisions after them fail the gate."""
    lines = registry.log.read_text().splitlines(keepends=True)
    early = registry.folder / "early.csv"
    early.write_text("".join(line for line in lines if "2026-09" in line or line.startswith("decision_id")))
    with pytest.raises(TrainingRefused, match=NOTHING_LATER):
        told(replace(registry, log=early).order(registry.good, None, groups=GROUPS))
    some = registry.folder / "some.csv"
    some.write_text("".join(lines[:1400]))
    document = told(replace(registry, log=some).order(registry.good, None, groups=GROUPS, largest_gap=1.0))
    assert "300 are needed" in failed(document)["data"]


def test_a_champion_that_changed_meanwhile_is_compared_with_again(registry: Registry) -> None:
    """What was compared with another champion than the one in force crowns nobody."""
    order = registry.order(registry.good, None, groups=GROUPS, largest_gap=1.0)
    crown(registry.bad)
    with pytest.raises(TrainingRefused, match="compare with the one in force"):
        told(order)
    assert champion_of(registry.good.parent) == registry.bad
    assert promotions(registry.good.parent) == ()


def test_a_damaged_champion_can_be_replaced(registry: Registry) -> None:
    """One that is refused does not serve either; a good model takes its place as if there were none."""
    crown(registry.bad)
    order = registry.order(registry.good, None, groups=GROUPS, largest_gap=1.0)
    (registry.bad / "folded.npz").write_bytes(b"damaged")
    ran = typed("promote", f"small@{registry.good.name}", "--strategy", registry.strategy, "--log", registry.log,
                "--models", registry.folder / "models")  # fmt: skip
    assert "the champion is refused" in ran.stderr
    assert "--against priors" in ran.stderr
    assert told(order)["passed"]
    assert champion_of(registry.good.parent) == registry.good


@pytest.mark.parametrize("what", POISONS)
def test_a_poisoned_version_is_never_promoted(registry: Registry, what: str) -> None:
    """It is refused before anything is measured; the champion stays, nothing is written down, no canary sings."""
    poison, words = POISONS[what]
    crown(registry.good)
    song, nowhere = registry.folder / "the-canary-sang", registry.folder / "nowhere"
    poison(registry.bad, song)
    order = Order(registry.strategy, registry.bad, registry.good, nowhere, nowhere, log=nowhere)
    with pytest.raises(ArtifactRefused, match=words):
        told(order)
    assert champion_of(registry.good.parent) == registry.good
    assert promotions(registry.good.parent) == ()
    assert not song.exists()


def test_a_version_in_a_folder_of_another_is_refused(registry: Registry) -> None:
    """What is crowned is what the folder says: a version cannot pass under the name of another."""
    other = registry.good.with_name("0" * 12)
    registry.good.rename(other)
    with pytest.raises(ArtifactRefused, match="a folder bears its own version"):
        told(Order(registry.strategy, other, None, other, other, log=registry.log))


def test_tolerances_are_what_looks_worse_and_is_taken(registry: Registry) -> None:
    """The intervals still count: a tolerance does not let through what is worse by them."""
    crown(registry.good)
    wide = Tolerances(9.0, 9.0, 9.0)
    document = told(registry.order(registry.bad, registry.good, groups=GROUPS, largest_gap=1.0, tolerances=wide))
    assert failed(document).keys() == {"log loss", "calibration error", "value"}


def test_the_command_decides_both_and_goes_back(registry: Registry) -> None:
    """`tact promote` has the engine decide the log for both, crowns the good one, and goes back only to what passed."""
    where = ("--models", registry.folder / "models", "--json")
    options = ("--strategy", registry.strategy, "--log", registry.log, "--groups", "past.tier", *where)
    good, bad = (f"small@{place.name}" for place in (registry.good, registry.bad))
    crown(registry.bad)
    ran = tact("promote", good, *options, "--fairness-gap", "1", "--by", "ada")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert (document["passed"], document["against"], document["by"]) == (True, bad, "ada")
    assert {one["name"] for one in document["criteria"]} >= {"guardrails", "log loss", "value", "fairness"}
    assert "no objection on 2,400 decisions" in document["criteria"][0]["words"]
    listed = report("models", "list", *where[:2])["versions"]
    assert {one["version"]: one["champion"] for one in listed} == {good: True, bad: False}
    again = typed("promote", good, *options)
    assert (again.returncode, "is the champion already" in again.stderr) == (1, True)
    never = typed("promote", bad, "--back-because", "It was calmer.", *where)
    assert (never.returncode, "was never promoted" in never.stderr) == (1, True)
    crown(registry.bad)
    back = typed("promote", good, "--back-because", "The bad one is bad.", "--by", "bo", *where)
    assert back.returncode == 0, back.stderr
    assert champion_of(registry.good.parent) == registry.good
    told = report("models", "history", "small", *where[:2])["promotions"]
    assert [(one["version"], one["by"]) for one in told] == [(good, "ada"), (good, "bo")]
    assert report("models", "card", good, *where[:2])["card"].startswith("# Model card: small")


def test_a_log_without_a_chance_for_what_both_would_say_is_refused_in_words(registry: Registry) -> None:
    """Where the log never said anything by chance, it does not tell what another choice is worth, and so it says."""
    sure = registry.folder / "sure.csv"
    sure.write_text(registry.log.read_text().replace(",0.33,", ",1.0,"))
    document = told(replace(registry, log=sure).order(registry.good, None, groups=GROUPS, largest_gap=1.0))
    assert failed(document).keys() == {"value"}
    assert failed(document)["value"].startswith("Refused: ")

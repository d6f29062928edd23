"""Data without consent never leaves the store, also where a person has several identities."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import folds
from models.context import ContextSchema, FoldKind
from service.core.predictions import PredictionFate, PredictionToStore
from service.core.records import EventToFold
from service.store import keys
from tests.folding import DETERMINISTIC, START_MS
from tests.models.test_fold_merge import a_field
from tests.store.identities import agree, known, link, merging, new_ids, step, unlink, unused
from tests.store.running import LEVELS, Running, states_of
from tests.store.watch import Watch

GROUPS = "spf"
READS = ("HGET", "HMGET", "HGETALL", "HVALS", "HSCAN", "HRANDFIELD", "DUMP", "SORT", "COPY")
COUNT_KEYS = {"s": 1, "p": 2, "f": 3}
SCHEMA = ContextSchema.of((), tuple(a_field(key, FoldKind.COUNT) for key in COUNT_KEYS.values()))


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store that knows a count for each purpose."""
    with merging(store_url, SCHEMA) as one:
        yield one


@pytest.fixture(scope="module")
def watch(store_url: str) -> Iterator[Watch]:
    """Return a watch on the store."""
    one = Watch(store_url)
    yield one
    one.close()


def hear_of(store: Running, customer: str, groups: str) -> None:
    """Let something happen to a customer that counts for these purposes."""
    operations = [folds.Operation(COUNT_KEYS[group], group, FoldKind.COUNT, 1) for group in groups]
    store.wait(store.store.events.fold(customer, [EventToFold(unused(), START_MS, tuple(operations))]))


def groups_read(watch: Watch) -> set[str]:
    """Return the groups that the store was asked for since the last look, by any command."""
    reads = [command for command in watch.seen() if command[0] in READS]
    assert {command[0] for command in reads} <= {"HGET", "HMGET"}, "whoever names no field reads them all"
    return {field for command in reads for field in command[2:] if field in GROUPS}


levels = st.sampled_from([None, *LEVELS])


@settings(DETERMINISTIC, max_examples=30)
@given(levels, levels, st.sampled_from(["s", "p", "f", "spf"]))
def test_the_store_asks_each_identity_only_for_what_the_person_allows(
    store: Running, watch: Watch, own: str | None, theirs: str | None, later: str
) -> None:
    """For any two consents, MONITOR shows no read that the stricter forbids, and none at all to link them."""
    alias, person = new_ids(2)
    for customer, level in ((person, own), (alias, theirs)):
        hear_of(store, customer, GROUPS)
        if level is not None:
            agree(store, customer, level)
    watch.seen()
    link(store, alias, person)
    assert groups_read(watch) == set()
    allowed = set(LEVELS[own or "none"]) & set(LEVELS[theirs or own or "none"])
    for who in (alias, person):
        found = known(store, who)
        assert groups_read(watch) == allowed
        assert states_of(found.groups.values()) == {COUNT_KEYS[group]: [START_MS, 2] for group in allowed}
    forbidden = "".join(sorted(set(later) - allowed))
    before = known(store, person)
    if forbidden:
        hear_of(store, alias, forbidden)
    assert known(store, person).groups == before.groups, "what is forbidden changes nothing"
    watch.seen()
    unlink(store, alias)
    assert groups_read(watch) == set()
    known(store, alias)
    assert groups_read(watch) <= set(LEVELS[theirs or "none"])


def test_an_alias_with_a_wider_consent_of_its_own_shows_no_more(store: Running, watch: Watch) -> None:
    """What the alias once agreed to for itself does not count while it is linked: the person's withdrawal does."""
    alias, person = new_ids(2)
    for customer in (alias, person):
        agree(store, customer, "full")
        hear_of(store, customer, GROUPS)
    link(store, alias, person)
    agree(store, person, "none", given_ms=START_MS + 1)
    watch.seen()
    assert known(store, alias).groups == {}
    decision = keys.repeatable_decision_id(alias, "k")
    assert store.wait(store.store.customers.read(alias, decision, 5.0, "k")).groups == {}
    assert groups_read(watch) == set()


@pytest.mark.parametrize("interrupted", ["mark", "part", None])
def test_a_prediction_for_an_alias_is_the_persons_to_allow(store: Running, interrupted: str | None) -> None:
    """What a model says of an alias is kept with the person who allows it, also where a link is half done."""
    alias, person = new_ids(2)
    agree(store, alias, "full")
    agree(store, person, "service")
    if interrupted == "mark":
        step(store, "mark", alias, person, "origin")
    else:
        link(store, alias, person)
    if interrupted == "part":
        step(store, "part", alias, "", "u")
    said = tuple(folds.Operation(1, group, FoldKind.MODEL, 0.5, version="v1") for group in "sf")
    fates = [
        store.wait(store.store.predictions.record(PredictionToStore(alias, START_MS, (one,)), 5.0)) for one in said
    ]
    assert fates == [PredictionFate.STORED, PredictionFate.NOT_CONSENTED]
    kept_with = alias if interrupted == "part" else person
    assert states_of(known(store, kept_with).groups.values()) == {1: [START_MS, 0.5, "v1"]}
    if interrupted == "part":
        assert known(store, person).groups == {}

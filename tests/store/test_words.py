"""The words of a strategy stay as long as its decisions, and cost next to nothing."""

from __future__ import annotations

from datetime import timedelta

from redis import Redis

from models.context import ValueType
from service.core.decision import Answer
from service.core.words import Words
from service.store import keys
from service.store.retention import Retention, milliseconds
from tests.rpc.world import store_at, strategy

LOG_MS = milliseconds(Retention().log)
KEY = keys.words_key(strategy().version)


async def test_words_are_kept_as_long_as_a_decision_of_now(clean_store_url: str) -> None:
    """They are written once, again when half an hour of their time is over or they are gone, and not in between."""
    async with store_at(clean_store_url) as store:
        with Redis.from_url(clean_store_url) as raw:
            for lives_ms, renewed in ((LOG_MS - 60_000, False), (LOG_MS - 1_800_000, True), (0, True)):
                await store.words.keep(strategy())
                raw.set(KEY, "as it was")
                raw.pexpire(KEY, lives_ms)
                await store.words.keep(strategy())
                assert (raw.get(KEY) != b"as it was") == renewed, timedelta(milliseconds=lives_ms)
                assert LOG_MS - 120_000 < raw.pttl(KEY) <= LOG_MS
        assert await store.words.of(strategy().version) == Words.of(strategy())


async def test_words_that_are_not_there_or_cannot_be_read_are_none(clean_store_url: str) -> None:
    """An export goes on without them."""
    async with store_at(clean_store_url) as store:
        assert await store.words.of("never@000000000000") is None
        with Redis.from_url(clean_store_url) as raw:
            for damaged in (b"", b"\xc1", b"\x90", b"\x92\x91\x92\xa1a\xa4type\x80"):
                raw.set(keys.words_key("damaged"), damaged)
                assert await store.words.of("damaged") is None


def test_answers_are_put_into_the_words_of_then() -> None:
    """Kind, intents and the text of that channel and placement; what the strategy has no words for stays as it is."""
    words = Words.of(strategy())
    assert ("past.spend", ValueType.DOUBLE) in words.fields
    action = next(action for action in strategy().actions if action.intents)
    said = action.treatments[0]
    answer = Answer(said.placement, action.id, "", "", (), 0.5, 1.0, ())
    worded = words.worded(answer, said.channel)
    assert (worded.kind, worded.text, worded.intents) == (action.kind.value, said.text, action.intents)
    assert words.worded(answer, "nowhere").text == ""
    for other in (Answer("hero", "", "", "", (), 0.0, 0.0, ()), Answer("hero", "unknown", "", "", (), 0.0, 0.0, ())):
        assert words.worded(other, "web") is other

"""A master that sentinels name: how its URL is read, and that no secret of it is told."""

from __future__ import annotations

import pytest

from service.config import SettingRefused, StorePlace, read_settings
from service.store.connection import StoreUnavailable
from service.store.embedded import free_port
from service.store.opening import named, open_store
from service.store.sentinel import Sentinels

URL = "redis+sentinel://tact:s%40cret@one:26380,two,[::1]:26382/main/3?sentinel_password=other"


def test_a_url_names_sentinels_master_and_database() -> None:
    """Host and port of each sentinel, the name of the master, its database, and a password for either."""
    read = Sentinels.at(URL)
    assert [(one.host, one.port) for one in read.sentinels] == [("one", 26380), ("two", 26379), ("::1", 26382)]
    assert (read.name, read.master.db) == ("main", 3)
    assert (read.master.username, read.master.password) == ("tact", "s@cret")
    assert {(one.username, one.password) for one in read.sentinels} == {("", "other")}
    assert read.tls is None
    assert Sentinels.at("rediss+sentinel://one/main").tls is not None


def test_no_secret_is_told() -> None:
    """Neither the text of the place nor its repr holds a password."""
    for text in (str(Sentinels.at(URL)), repr(Sentinels.at(URL)), repr(open_store(URL)), named(URL)):
        assert "cret" not in text
        assert "other" not in text
    assert named(URL) == "redis+sentinel://one:26380,two:26379,::1:26382/main/3"
    assert StorePlace.parse(URL).has_password
    assert StorePlace.parse("redis+sentinel://one/main?sentinel_password=x").has_password


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one:26379",
        "redis+sentinel://one:26379/main/third",
        "redis+sentinel://one:port/main",
        "redis+sentinel://one,,two/main",
        "redis+sentinel:///main",
        "redis+sentinel://one/main?timeout=3",
    ],
)
def test_what_is_no_such_url_is_refused_in_words(url: str) -> None:
    """The message shows the form, and never the URL."""
    with pytest.raises(ValueError, match=r"redis\+sentinel://\[user") as caught:
        open_store(url.replace("//", "//tact:secret@"))
    assert "secret" not in str(caught.value)


async def test_sentinels_that_are_away_are_told_as_such() -> None:
    """A call fails soon, as with a store that is away."""
    store = open_store(f"redis+sentinel://127.0.0.1:{free_port()}/main")
    with pytest.raises(StoreUnavailable):
        await store.execute("GET", "k", deadline_s=1.0)
    await store.close()


def test_durability_is_read_at_the_door() -> None:
    """Fast by default; durable names how many replicas and how long; an embedded store has none."""
    assert read_settings({"store": "redis://h"}, {}).confirmation is None
    told = {"store": "redis://h", "durability": "durable", "durability-replicas": "2", "durability-wait": "80"}
    confirmation = read_settings(told, {}).confirmation
    assert confirmation is not None
    assert (confirmation.replicas, confirmation.wait_ms) == (2, 80)
    for wrong, said in (
        ({"durability": "safe"}, "fast, durable"),
        ({"durability": "durable", "store": "embedded:data"}, "no replicas"),
        ({**told, "durability-replicas": "0"}, "1 to 100"),
        ({**told, "durability-wait": "soon"}, "1 to 60000"),
    ):
        with pytest.raises(SettingRefused, match=said):
            read_settings({"store": "redis://h", **wrong}, {})

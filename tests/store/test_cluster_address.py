"""The URL of a cluster is read once, and no text of it tells a secret."""

from __future__ import annotations

import pytest

from service.config import StorePlace
from service.store.cluster_address import ClusterAddress, Place
from service.store.opening import named, open_store

URL = "redis+cluster://tact:s%40cret@10.0.0.1:6379,[::1]:6380/"


def test_a_cluster_has_servers_a_user_and_a_password() -> None:
    """Every server is let in with the same words."""
    address = ClusterAddress.parse(URL)
    assert address.seeds == (Place("10.0.0.1", 6379), Place("::1", 6380))
    one = address.of(Place("10.0.0.7", 7000))
    assert (one.scheme, one.host, one.port, one.username, one.password) == ("redis", "10.0.0.7", 7000, "tact", "s@cret")
    assert ClusterAddress.parse(URL.replace("redis", "rediss", 1)).of(one_place()).scheme == "rediss"
    assert ClusterAddress.parse("redis+cluster://h:1?password=p").password == "p"


def one_place() -> Place:
    """Return some server."""
    return Place("10.0.0.7", 7000)


async def test_no_text_tells_the_secrets() -> None:
    """Neither the address nor the way to the store names user or password."""
    way = open_store(URL)
    for text in (str(ClusterAddress.parse(URL)), repr(ClusterAddress.parse(URL)), repr(way), named(URL)):
        assert "cret" not in text
        assert "tact" not in text
    assert named(URL) == "redis+cluster://10.0.0.1:6379,[::1]:6380/"
    assert repr(StorePlace.parse(URL)) == "StorePlace(folder=None)"
    assert StorePlace.parse(URL).has_password
    await way.close()


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("redis+cluster://:hidden@h:1,h/", "no port"),
        ("redis+cluster://:hidden@h:1,:2/", "no host"),
        ("redis+cluster://:hidden@h:70000/", "no port"),
        ("redis+cluster://:hidden@/", "no port"),
        ("redis+cluster://:hidden@h:1/3", "no database but 0"),
        ("redis+cluster://:hidden@h:1/?db=3", "unknown option 'db'"),
        ("redis+clusters://:hidden@h:1/", "begins with 'redis\\+clusters'"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_it(url: str, wrong: str) -> None:
    """The sentence says what is wrong and what would be right, and quotes no secret."""
    with pytest.raises(ValueError, match=wrong) as refused:
        ClusterAddress.parse(url)
    assert "hidden" not in str(refused.value)
    assert "redis+cluster://" in str(refused.value)

"""The slot of every command is the cluster's own, and what servers say of the cluster is read right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from service.store import keys
from service.store.cluster_address import Place
from service.store.cluster_slots import View, first_key, redirected_to, slot_of, slot_of_key, words_of
from service.store.pipeline import StoreReplied, pack

HERE = Place("10.0.0.1", 6379)


@given(st.binary(max_size=60) | st.tuples(st.binary(), st.binary(), st.binary()).map(lambda p: b"%s{%s}%s" % p))
def test_the_slot_of_a_key_is_that_of_the_cluster(key: bytes) -> None:
    """Whatever stands in a key, with braces or without, its slot is the one that another client finds."""
    assert slot_of_key(key) == key_slot(key)


@given(st.text(min_size=1, max_size=30), st.lists(st.binary(max_size=300), max_size=4))
def test_a_function_goes_where_its_keys_are(customer: str, arguments: list[bytes]) -> None:
    """A function call is read by its first key, whatever its arguments say, and all keys of a bucket agree."""
    places = keys.fold_keys(customer)
    for name in ("FCALL", "FCALL_RO"):
        packed = pack(name, "tact_household_settle_0123456789ab", len(places), *places, *arguments)
        assert slot_of(packed) == key_slot(places[0]) == key_slot(places[3])
        assert first_key(packed) == places[0]


@pytest.mark.parametrize(
    "words",
    [
        ("FCALL", "other", 1, "plain", b"\r\ntact:{0a3}:c:x"),
        ("FCALL", "tact_supply_grant_0123456789ab", 1, keys.shelf_keys("truck", "ber{lin}")[0], 5),
        ("EVALSHA", "0" * 40, 1, "plain"),
    ],
)
def test_a_function_with_keys_of_any_kind_is_read(words: tuple[bytes | str | int, ...]) -> None:
    """Keys without a tag of ours, or with one that holds what users name, are found as well."""
    key = words[3].encode() if isinstance(words[3], str) else words[3]
    assert isinstance(key, bytes)
    assert slot_of(pack(*words)) == key_slot(key)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("GET", "tact:{0a3}:w"), b"tact:{0a3}:w"),
        (("xrange", b"tact:{0a3}:log", "-", "+", "COUNT", 10), b"tact:{0a3}:log"),
        (("SCAN", "0", "MATCH", keys.histories()), None),
        (("FUNCTION", "LOAD", "REPLACE", "tact:{0a3}"), None),
        (("FCALL", "tact_none_0123456789ab", 0, "customer"), None),
        (("PING",), None),
        (("CONFIG", "GET", "appendonly"), None),
    ],
)
def test_the_first_key_of_a_command(words: tuple[bytes | str | int, ...], key: bytes | None) -> None:
    """Commands have their key behind their name, functions behind their count, and some have none."""
    assert first_key(pack(*words)) == key
    assert slot_of(pack(*words)) == (None if key is None else key_slot(key))


def test_words_are_read_as_they_were_packed() -> None:
    """No more words are taken apart than are wanted."""
    packed = pack("SET", b"a\r\nb", "", "x" * 5_000)
    assert words_of(packed, 3) == [b"SET", b"a\r\nb", b""]
    assert words_of(packed, 9)[3] == b"x" * 5_000


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("3999 127.0.0.1:6381", (3999, Place("127.0.0.1", 6381))),
        ("0 :6381", (0, Place("10.0.0.1", 6381))),
        ("16383 ?:6381", (16383, Place("10.0.0.1", 6381))),
        ("1 ::1:6381", (1, Place("::1", 6381))),
        ("1 node-7.example:6381", (1, Place("node-7.example", 6381))),
    ],
)
def test_a_redirection_names_a_slot_and_a_server(message: str, found: tuple[int, Place]) -> None:
    """A server that is named without a host has the host of the one that was asked."""
    assert redirected_to(StoreReplied("MOVED", message), HERE) == found


@pytest.mark.parametrize("message", ["", "7", "7 host", "x 127.0.0.1:1", "16384 127.0.0.1:1", "1 127.0.0.1:0"])
def test_a_redirection_to_nowhere_is_none(message: str) -> None:
    """What names no slot or no port is refused."""
    with pytest.raises(ValueError, match=r"slot|port|invalid|integer"):
        redirected_to(StoreReplied("ASK", message), HERE)


def test_the_latest_view_of_a_server_that_is_well_goes_before_others() -> None:
    """A server that was cut off believes what was so before; the epoch of the last election tells."""
    slots = [[0, 5460, [b"10.0.0.2", 6380, b"id"], [b"10.0.0.9", 6389, b"id"]], [5461, 16383, [b"", 6379, b"id"]]]
    ill = View.of(b"cluster_state:fail\r\ncluster_current_epoch:9\r\n", slots, HERE)
    old = View.of(b"cluster_state:ok\r\ncluster_current_epoch:7\r\n", slots, HERE)
    new = View.of(b"cluster_state:ok\r\ncluster_current_epoch:8\r\n", slots, HERE)
    assert new.ranges == ((0, 5460, Place("10.0.0.2", 6380)), (5461, 16383, HERE))
    assert max((ill, new, old), key=lambda view: view.worth) is new

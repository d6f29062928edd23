"""Claims about random bytes that are fetched in advance."""

from __future__ import annotations

from service.entropy import POOL_BYTES, Entropy


def test_every_random_byte_is_given_once() -> None:
    """What is asked for has its size, also where the pool ends, and nothing is given twice."""
    entropy, given = Entropy(), []
    for turn in range(2_000):
        size = 12 + 4 * (turn % 9)
        given.append(entropy(size))
        assert len(given[-1]) == size
    assert sum(map(len, given)) > 10 * POOL_BYTES
    assert len({piece[:12] for piece in given}) == len(given)


def test_two_pools_have_nothing_in_common() -> None:
    """Each pool begins with bytes of its own."""
    assert Entropy()(POOL_BYTES) != Entropy()(POOL_BYTES)

"""Which of two consents is the stricter."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


def stricter_levels(purposes_by_level: Mapping[str, str], lowest: str) -> dict[str, dict[str, str]]:
    """Return for each two levels the one that holds: the widest that allows nothing that one of them forbids."""

    def stricter(one: str, other: str) -> str:
        both = set(purposes_by_level[one]) & set(purposes_by_level[other])
        narrow = [level for level in purposes_by_level if both.issuperset(purposes_by_level[level])]
        if one in narrow or other in narrow:
            return one if one in narrow else other
        return max(narrow, key=lambda level: len(purposes_by_level[level]), default=lowest)

    return {one: {other: stricter(one, other) for other in purposes_by_level} for one in purposes_by_level}


def packed_levels(purposes_by_level: Mapping[str, str], lowest: str) -> bytes:
    """Return the table of levels as the store's functions read it."""
    return msgspec.msgpack.encode({"of": stricter_levels(purposes_by_level, lowest), "lowest": lowest})

"""How the states of a group of fields are packed, as the store keeps them under one purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from models.folds import State

_decode = msgspec.msgpack.Decoder(dict[int, list[Any]]).decode
_encode = msgspec.msgpack.Encoder().encode


def packed(states: Mapping[int, State]) -> bytes:
    """Return the bytes of states by field key."""
    return _encode(states)


def unpacked(group: bytes) -> dict[int, State]:
    """Return the states of a group by field key; raise ValueError when they cannot be read."""
    try:
        return _decode(group)
    except msgspec.DecodeError:
        raise ValueError("the field states cannot be read") from None

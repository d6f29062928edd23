"""Parts: the documents of a strategy and the arrays of a model, each packed under the version that decisions bear.

A version is made of the contents, so whoever unpacks a part can see that it is what it says.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import Struct

from models.artifacts import Served
from models.documents import Documents
from service.core.strategy import Strategy

VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}@[0-9a-f]{12}", re.ASCII)
"""What the version of a part looks like: only then does it name a key or a folder."""

MOST_BYTES = 512 << 20
"""How large a part may be when it is unpacked."""

_PACKED_AS = 6  # zlib's level: 9 takes twice the time for a hundredth of the size

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, bytes]).decode


class PartKind(StrEnum):
    """What a part is."""

    STRATEGY = "strategy"
    MODEL = "model"


class PartDamaged(Exception):
    """What should be a part cannot be unpacked; says which and why, in words."""


class Part(Struct, frozen=True):
    """One strategy or one model as it is archived: its kind, its version, and its files, packed."""

    kind: PartKind
    version: str
    packed: bytes

    @property
    def name(self) -> str:
        """The kind and the version, as people name it."""
        return f"{self.kind} {self.version}"

    def files(self) -> Mapping[str, bytes]:
        """Return the files by name; raise `PartDamaged` where they cannot be had."""
        try:
            unpacking = zlib.decompressobj()
            plain = unpacking.decompress(self.packed, MOST_BYTES)
            if not unpacking.eof:
                raise PartDamaged(f"{self.name}: its files are cut off, or larger than {MOST_BYTES >> 20} MB")
            found = _decode(plain)
        except (zlib.error, msgspec.MsgspecError) as error:
            raise PartDamaged(f"{self.name}: its files cannot be unpacked ({type(error).__name__})") from None
        if strange := [name for name in found if not _is_plain(name)]:
            raise PartDamaged(f"{self.name}: {len(strange)} of its files have names that are no names of files")
        return found


def strategy_part(strategy: Strategy, documents: Documents) -> Part:
    """Return the part of a strategy that was made of these documents."""
    files = {name: text.encode() for name, text in documents.contents.items()}
    return _part(PartKind.STRATEGY, strategy.version, files)


def model_part(served: Served) -> Part:
    """Return the part of a model."""
    return _part(PartKind.MODEL, served.folded.version, served.files)


def _part(kind: PartKind, version: str, files: Mapping[str, bytes]) -> Part:
    return Part(kind, version, zlib.compress(_encode(dict(files)), _PACKED_AS))


def _is_plain(name: str) -> bool:
    """Tell whether a name is that of a file which stands directly in a folder."""
    return name.isprintable() and not name.startswith(".") and not {"/", "\\"} & set(name) and 0 < len(name) < 256

"""The files of an artefact as hostile bytes: sizes, names and headers are checked before anything is unpacked."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Mapping
from errno import ELOOP, ENXIO
from hashlib import sha256
from io import BytesIO
from math import prod
from pathlib import Path
from stat import S_ISREG
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

MANIFEST, FOLDED, ESTIMATORS = "manifest.json", "folded.npz", "model.skops"
BOOSTED, VALUES, CARD = "boosted.npz", "values.npz", "card.md"

FILES = frozenset((MANIFEST, FOLDED, ESTIMATORS, BOOSTED, VALUES, CARD))
"""All that the folder of a version may hold."""

STEEPEST = 1e100
"""The largest number in an array: times the largest feature still a finite double, whatever the number of columns."""

_LARGEST = {  # bytes, packed and unpacked alike
    MANIFEST: 4 << 20,
    FOLDED: 128 << 20,
    ESTIMATORS: 256 << 20,
    BOOSTED: 128 << 20,
    VALUES: 128 << 20,
    CARD: 1 << 20,
}
_MOST_MEMBERS = {FOLDED: 16, BOOSTED: 16, VALUES: 16, ESTIMATORS: 100_000}
_END, _END_64, _PLACE_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"  # how the records at the end of a zip begin
_MEMBER = b"PK\x01\x02"  # how the directory's record of a member begins
_LISTED = 46  # the least bytes that the directory has of a member
_KINDS = (np.dtype(np.bool_), np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.float64))
Shape = tuple[tuple[int, ...], type[np.generic]]
"""The lengths of an array and the kind of its elements, as in `((3, 20), np.float64)`."""


class ArtifactRefused(Exception):
    """An artefact is not what it says it is, or not made for these features. Nothing of it was executed."""


def plain_file(folder: Path, name: str) -> bytes:
    """Read a file that is a plain file in this very folder and no larger than its kind may be."""
    try:
        opened = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(opened, "rb") as file:
            if not S_ISREG(os.fstat(opened).st_mode):
                raise ArtifactRefused(f"{name} is not a plain file")
            content = file.read(_LARGEST[name] + 1)
    except IsADirectoryError:
        raise ArtifactRefused(f"{name} is not a plain file") from None
    except OSError as error:
        if error.errno in (ELOOP, ENXIO):  # a link, and what is neither a file nor anything that answers
            raise ArtifactRefused(f"{name} is not a plain file") from None
        raise ArtifactRefused(f"{name} cannot be read ({error.strerror}); name the folder of one version") from None
    if len(content) > _LARGEST[name]:
        raise ArtifactRefused(f"{name} is larger than {_LARGEST[name] >> 20} MB")
    return content


def checked_file(folder: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """Read a plain file whose SHA-256 must be the listed one."""
    content = plain_file(folder, name)
    if sha256(content).hexdigest() != digests[name]:
        raise ArtifactRefused(f"{name} was changed: its SHA-256 is not the one in {MANIFEST}")
    return content


def unpack(packed: bytes, name: str) -> dict[str, bytes]:
    """Return the members of a zip file in memory, after checking names and sizes before anything is unpacked."""
    _refuse_many(packed, name)
    try:
        with ZipFile(BytesIO(packed)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS[name] or sum(member.file_size for member in members) > _LARGEST[name]:
                raise ArtifactRefused(f"{name} unpacks to more than {_LARGEST[name] >> 20} MB")
            plain = {member.filename for member in members if re.fullmatch(r"[\w.-]+", member.filename)}
            if len(plain) < len(members) or any(member.startswith(".") for member in plain):
                raise ArtifactRefused(f"{name} holds members with names that are not plain, or twice the same")
            if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
                raise ArtifactRefused(f"{name} is packed in a way that is neither stored nor deflated")
            return {member.filename: archive.read(member) for member in members}
    except (BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zlib.error) as error:
        raise ArtifactRefused(f"{name} is not a zip file of the expected kind ({error})") from None


def _refuse_many(packed: bytes, name: str) -> None:
    """Refuse a zip file whose directory lists too many members, before `ZipFile` makes an object of each.

    The directory's size counts, for that is what `ZipFile` goes by, whatever number of members the file claims.
    """
    end = packed.rfind(_END, max(0, len(packed) - 22 - 0xFFFF))
    if end < 0 or len(packed) < end + 22:
        raise ArtifactRefused(f"{name} is not a zip file of the expected kind (it has no end)")
    count, size = struct.unpack_from("<HL", packed, end + 10)
    if packed[max(0, end - 20) : end][:4] == _PLACE_64:
        if packed[max(0, end - 76) : end][:4] != _END_64:
            raise ArtifactRefused(f"{name} is not a zip file of the expected kind (its end is in two places)")
        count, size = struct.unpack_from("<QQ", packed, end - 76 + 32)
    most = _MOST_MEMBERS[name]
    if count > most or (size // _LISTED > most and packed.count(_MEMBER, max(0, end - size), end) > most):
        raise ArtifactRefused(f"{name} holds more than {most:,} members")


def array_of(member: bytes, what: str, more: tuple[np.dtype[Any], ...] = ()) -> npt.NDArray[Any]:
    """Read an array of numbers or truths; nothing is allocated or interpreted before its header fits its size.

    `more` are other kinds of numbers that may be in it.
    """
    stream = BytesIO(member)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("another version of the format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ArtifactRefused(f"{what} has an unreadable header ({error})") from None
    if fortran or dtype not in (*_KINDS, *more) or len(member) - stream.tell() != dtype.itemsize * prod(shape):
        raise ArtifactRefused(f"{what} has a size or a kind of number that does not fit its header")
    flat = np.frombuffer(member, np.uint8, offset=stream.tell())
    if dtype == np.bool_ and (flat > 1).any():
        raise ArtifactRefused(f"{what} has bytes that are neither true nor false")
    return flat.view(dtype).reshape(shape)


def arrays_of(packed: bytes, name: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an npz file by name: truths, whole numbers and finite numbers no steeper than `STEEPEST`."""
    arrays = {}
    for member, content in unpack(packed, name).items():
        array, npy, rest = member.rpartition(".npy")
        if not npy or rest:
            raise ArtifactRefused(f"{name} must hold exactly arrays, and holds {member[:60]}")
        arrays[array] = array_of(content, f"{array} of {name}")
        if arrays[array].dtype == np.float64 and not (np.abs(arrays[array]) <= STEEPEST).all():  # false for NaN, too
            raise ArtifactRefused(f"{name} has {array} that are not finite numbers")
    return arrays


def refuse_unless_shaped(arrays: Mapping[str, npt.NDArray[Any]], name: str, shapes: Mapping[str, Shape]) -> None:
    """Raise `ArtifactRefused` unless a file holds exactly the arrays listed, each of its shape and kind."""
    if arrays.keys() != shapes.keys():
        raise ArtifactRefused(f"{name} must hold exactly {', '.join(sorted(shapes))}")
    for array, (shape, kind) in shapes.items():
        if arrays[array].shape != shape or arrays[array].dtype != kind:
            raise ArtifactRefused(f"{array} of {name} has another shape or kind than {MANIFEST} says: {shape} wanted")

"""Messages as JSON text, the way protobuf defines it: what browsers and people write and read.

Texts of errors are ours: those of protobuf repeat what was sent, which may be about a person.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import msgspec
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, Parse, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from service.errors import Undecodable, Violation
from service.rpc.checks import shown
from service.rpc.event_batches import MAX_BATCH_BYTES
from service.rpc.methods import ENTRIES
from service.rpc.web.json_bounds import NO_JSON, check_values
from service.rpc.web.room import Room
from service.rpc.wrapper import MAX_REQUEST_BYTES

DEEPEST = 64
"""How deep values may stand in each other; messages of the contract stand in each other six deep at most."""
LONG = 8_192
"""From how many bytes on a message is read in a thread: as many events or texts as fit take 20 ms."""
Opened: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Returns a message as protobuf writes it, of what a caller sent in another form; raises what refuses it."""
_READING = ThreadPoolExecutor(1, "json")  # one: each more would take its share of the interpreter from the loop
_WAITING = Room(4_194_304)  # which are read in 3 s
_NO_FIELD = re.compile(r'has no field named "(?P<name>[^"]*)" at "\w+\.?(?P<place>[^"]*)"')
_AT = re.compile(r" at \w+\.(?P<place>[\w\[\]]{1,64}(\.[\w\[\]]{1,64}){0,9})\.?\Z")
_FIELD = re.compile(r"\AFailed to parse (?P<place>\w{1,64}) field:")


def opening(method: MethodDescriptor) -> Opened:
    """Return what reads the JSON of a method's messages, and writes it as protobuf does."""
    kind: type[Message] = GetMessageClass(method.input_type)
    name = ENTRIES.get(method.name)
    entries = () if name is None else (name, method.input_type.fields_by_name[name].json_name)
    most_bytes = MAX_REQUEST_BYTES if name is None else MAX_BATCH_BYTES

    def read(raw: bytes) -> bytes:
        check_values(raw, most_bytes, entries)
        return message_in(kind, raw).SerializeToString()

    async def opened(raw: bytes) -> bytes:
        if len(raw) < LONG:
            return read(raw)
        with _WAITING.taken(len(raw)):
            return await asyncio.get_running_loop().run_in_executor(_READING, read, raw)

    return opened


def writing(method: MethodDescriptor) -> Callable[[bytes], bytes]:
    """Return what writes a method's answers as JSON."""
    kind: type[Message] = GetMessageClass(method.output_type)

    return lambda answer: msgspec.json.encode(MessageToDict(kind.FromString(answer)))


def message_in(kind: type[Message], raw: bytes) -> Message:
    """Read a message; raise `Undecodable` with the place of what is wrong."""
    message = kind()
    try:
        text = raw.decode() or "{}"
        if not text.lstrip().startswith("{"):
            raise Undecodable.of([Violation("", "is no JSON object; write {…}, with the fields of the message")])
        Parse(text, message, max_recursion_depth=DEEPEST)
    except ParseError as error:
        raise Undecodable.of([_violation(str(error))]) from None
    except (ValueError, RecursionError, DecodeError):  # not UTF-8, too deep, or a number of thousands of digits
        raise Undecodable.of([Violation("", "cannot be read as JSON in UTF-8")]) from None
    return message


def _violation(text: str) -> Violation:
    """Say where something is wrong, of what protobuf says of it."""
    if text.startswith("Failed to load JSON"):
        return Violation("", NO_JSON)
    if unknown := _NO_FIELD.search(text):
        return Violation(unknown["place"], f"has no field {shown(unknown['name'])}")
    found = _AT.search(text) or _FIELD.match(text)
    return Violation(found["place"] if found else "", "has a value of another kind than this field holds")

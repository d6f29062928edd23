"""Every method of the contract as an endpoint of Connect, answered by the handlers of gRPC. Nothing is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.descriptor import MethodDescriptor

from service.errors import Undecodable, Violation
from service.rpc.asked_first import Guarded
from service.rpc.event_batches import MAX_BATCH_BYTES
from service.rpc.methods import CONTRACT, ENTRIES
from service.rpc.web import json_text
from service.rpc.web.asking import AskingFirst
from service.rpc.web.calls import Context, WebCall, answers_of
from service.rpc.web.json_text import Opened
from service.rpc.wrapper import MAX_REQUEST_BYTES, Handler, Raws, end

JSON_TAKES = 2
"""How many times as long as protobuf writes it a message may be that is no batch: JSON has names and quotes."""

LONG_ANSWER = 16_384
"""From how many bytes on an answer is made JSON in a thread: that takes 2 ms."""
_NO_STREAM = (
    f"is no stream of messages, each with its flags and its length before it, {MAX_BATCH_BYTES:,} bytes at most"
)

Answers: TypeAlias = Callable[[], Guarded]
"""Returns what answers each method, and what is asked before."""
Application: TypeAlias = "ConnectASGIApplication[None]"
AnyEndpoint: TypeAlias = Any
"""An endpoint of any of the four kinds, for which Connect has no public name."""


@dataclass(frozen=True, slots=True)
class Served:
    """The applications of Connect, each method's path to the one that answers it; paths whose requests are streams."""

    applications: Mapping[str, Application]
    streamed: frozenset[str]


class AsSent:
    """Leaves messages as they were sent: the handlers open them, once they know who calls."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        """Return how media types call this form."""
        return self._name

    def encode(self, message: bytes) -> bytes:
        """Return an answer, which the endpoint has written."""
        return message

    def decode(self, data: bytes | bytearray, message_class: type[bytes]) -> bytes:
        """Return what was sent."""
        return message_class(data)


class _Plain(ConnectASGIApplication[None]):
    path = ""


@dataclass(frozen=True, slots=True)
class _Form:
    """One form of messages: who answers them, how requests in streams are opened, and how answers are written."""

    handler: Handler
    opened: Opened
    written: Callable[[bytes], bytes]


def served_by(answers: Answers) -> Served:
    """Return every method of the contract as Connect and gRPC-Web serve it, with protobuf's bytes and with JSON."""
    guarded = answers()
    endpoints: dict[bool, dict[str, AnyEndpoint]] = {False: {}, True: {}}
    streamed = set()
    for file in CONTRACT:
        for service in file.services_by_name.values():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                handler = guarded.handlers[service.full_name][method.name]
                forms = (
                    _Form(handler, _as_it_is, bytes),
                    _Form(handler, json_text.opening(method), json_text.writing(method)),
                )
                endpoints[method.name in ENTRIES][path] = _endpoint(method, forms)
                if method.client_streaming:
                    streamed.add(path)
    few = _application(endpoints[False], guarded, JSON_TAKES * MAX_REQUEST_BYTES)
    many = _application(endpoints[True], guarded, MAX_BATCH_BYTES)
    return Served({**dict.fromkeys(endpoints[False], few), **dict.fromkeys(endpoints[True], many)}, frozenset(streamed))


def _application(endpoints: Mapping[str, AnyEndpoint], guarded: Guarded, most_bytes: int) -> Application:
    codecs, asked = (AsSent("proto"), AsSent("json")), (AskingFirst(guarded),)
    return _Plain(
        service=None, endpoints=lambda _: endpoints, interceptors=asked, read_max_bytes=most_bytes, codecs=codecs
    )


async def _as_it_is(raw: bytes) -> bytes:
    return raw


def _endpoint(method: MethodDescriptor, forms: tuple[_Form, _Form]) -> AnyEndpoint:
    match method.client_streaming, method.server_streaming:
        case False, False:
            return Endpoint.unary(method=_info(method, StreamType.UNARY), function=_one_to_one(forms))
        case True, False:
            return Endpoint.client_stream(method=_info(method, StreamType.CLIENT_STREAM), function=_many_to_one(forms))
        case False, True:
            return Endpoint.server_stream(method=_info(method, StreamType.SERVER_STREAM), function=_one_to_many(forms))
        case _:
            return Endpoint.bidi_stream(method=_info(method, StreamType.BIDI_STREAM), function=_many_to_many(forms))


def _info(method: MethodDescriptor, stream_type: StreamType) -> MethodInfo[bytes, bytes]:
    return MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=bytes,
        output=bytes,
        idempotency_level=IdempotencyLevel.UNKNOWN,  # so that nothing is asked with GET, which other pages could
        stream_type=stream_type,
    )


def _form(forms: tuple[_Form, _Form], context: Context) -> _Form:
    media_type = context.request_headers.get("content-type", "").partition(";")[0]
    return forms[media_type.strip().lower().endswith("json")]


def _one_to_one(forms: tuple[_Form, _Form]) -> Any:  # noqa: ANN401 - each kind of endpoint takes another
    async def answer(raw: bytes, context: Context) -> bytes:
        form = _form(forms, context)
        begin: Any = form.handler.unary_unary
        return await _written(form, await begin(await _read(form, raw, context), WebCall(context)))

    return answer


def _many_to_one(forms: tuple[_Form, _Form]) -> Any:  # noqa: ANN401 - as above
    async def answer(raws: Raws, context: Context) -> bytes:
        form = _form(forms, context)
        begin: Any = form.handler.stream_unary
        return await _written(form, await begin(_opened(raws, form.opened), WebCall(context)))

    return answer


def _one_to_many(forms: tuple[_Form, _Form]) -> Any:  # noqa: ANN401 - as above
    async def answer(raw: bytes, context: Context) -> AsyncGenerator[bytes, None]:
        form = _form(forms, context)
        begin: Any = form.handler.unary_stream
        message = await _read(form, raw, context)
        async with aclosing(answers_of(context, lambda call: begin(message, call))) as answers:
            async for one in answers:
                yield await _written(form, one)

    return answer


def _many_to_many(forms: tuple[_Form, _Form]) -> Any:  # noqa: ANN401 - as above
    async def answer(raws: Raws, context: Context) -> AsyncGenerator[bytes, None]:
        form = _form(forms, context)
        begin: Any = form.handler.stream_stream
        async with aclosing(answers_of(context, lambda call: begin(_opened(raws, form.opened), call))) as answers:
            async for message in answers:
                yield await _written(form, message)

    return answer


async def _read(form: _Form, raw: bytes, context: Context) -> bytes:
    """Return a message as protobuf writes it; end the call where that cannot be."""
    try:
        return await form.opened(raw)
    except Exception as error:  # noqa: BLE001 - every error gets its status
        await end(WebCall(context), error)


async def _written(form: _Form, answer: bytes) -> bytes:
    """Write an answer in the caller's form; a long one beside the loop, so that other calls do not wait for it."""
    if form.written is bytes or len(answer) < LONG_ANSWER:
        return form.written(answer)
    return await asyncio.to_thread(form.written, answer)


async def _opened(raws: Raws, opened: Opened) -> AsyncIterator[bytes]:
    """Yield the messages of a stream; raise `Undecodable` where it breaks off, or holds what is no message."""
    try:
        async for raw in raws:
            yield await opened(raw)
    except ConnectError:
        raise Undecodable.of([Violation("", _NO_STREAM)]) from None

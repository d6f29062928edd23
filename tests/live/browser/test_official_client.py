"""The official client for browsers speaks with the port, over Connect and gRPC-Web, knowing only the descriptors."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # ships no types

from service.rpc.access.who import Role
from service.rpc.methods import CONTRACT
from tests.clients.test_node import NODE
from tests.conftest import absent
from tests.edge.access.world import token_of
from tests.live.browser.test_service import serving
from tests.live.browser.world import opened

FORMS = [("connect", True), ("connect", False), ("grpc-web", False)]
QUESTION = {"customerId": "c-1", "channel": "web", "placements": ["greeting"], "requestId": "browser-1"}


def descriptors() -> str:
    """Return the descriptors of the contract with all that they need, each after what it needs."""
    found: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        for needed in file.dependencies:
            add(needed)
        found.setdefault(file.name, file)

    for file in (*CONTRACT, error_details_pb2.DESCRIPTOR):
        add(file)
    files = FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(files.file.add())
        _name_for_json(files.file[-1].message_type)
    return base64.b64encode(files.SerializeToString()).decode()


def _name_for_json(messages: Iterable[DescriptorProto]) -> None:
    """Write out how fields are called in JSON, as compilers do and Python's descriptors do not."""
    for message in messages:
        for field in message.field:
            first, *rest = field.name.split("_")
            field.json_name = first + "".join(map(str.capitalize, rest))
        _name_for_json(message.nested_type)


async def called(port: int, form: tuple[str, bool], service: str, method: str, **more: Any) -> Any:  # noqa: ANN401
    """Call a method as a page does; return its answers, or its error."""
    if (node := shutil.which("node")) is None:
        absent("There is no node on the PATH (Debian: apt-get install nodejs npm).")
    if not (NODE / "node_modules" / "@connectrpc" / "connect-web").is_dir():
        absent("The Node client's modules are not installed: run `npm ci` in tests/clients/node.")
    asked = {"base": f"http://127.0.0.1:{port}", "form": form[0], "json": form[1], "descriptors": descriptors(),
             "service": f"tact.v1.{service}", "method": method, "requests": [{}], **more}  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        node, str(NODE / "browser.mjs"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, wrong = await asyncio.wait_for(process.communicate(json.dumps(asked).encode()), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, wrong.decode()
    return json.loads(out)


@pytest.mark.parametrize("form", FORMS, ids=["connect, JSON", "connect", "gRPC-Web"])
async def test_it_asks_and_is_refused_as_it_should_be(tmp_path: Path, form: tuple[str, bool]) -> None:
    """A question is answered, a bad one refused with its fields."""
    async with opened(tmp_path, guarded=False) as port:
        said = await called(port.port, form, "DecisionService", "decide", requests=[QUESTION])
        (answer,) = said["answers"]
        assert (answer["requestId"], answer["answers"][0]["greeting"]["text"]) == ("browser-1", "Good to see you.")
        bad = await called(port.port, form, "DecisionService", "decide", requests=[{**QUESTION, "customerId": ""}])
    assert bad["error"]["code"] == "InvalidArgument"
    assert bad["error"]["fields"] == ["customer_id"]


@pytest.mark.parametrize("form", FORMS[1:], ids=["connect", "gRPC-Web"])
async def test_who_has_no_rights_sees_nothing(tmp_path: Path, form: tuple[str, bool]) -> None:
    """Without a token, and with one of another role, nothing comes but the refusal; with the right one it does."""
    async with opened(tmp_path) as port:
        unknown = await called(port.port, form, "ControlService", "getStatus")
        other = await called(port.port, form, "ControlService", "getStatus", token=token_of(Role.DESKTOP))
        right = await called(port.port, form, "ControlService", "getStatus", token=token_of(Role.OPERATOR))
    assert (unknown["answers"], unknown["error"]["code"]) == ([], "Unauthenticated")
    assert (other["answers"], other["error"]["code"]) == ([], "PermissionDenied")
    assert right["answers"][0]["strategy"] == "small@1"


async def test_it_watches_a_customer(tmp_path: Path) -> None:
    """A watch tells the answer, and that it goes on, in each form; leaving it ends it."""
    question = {"customerId": "c-1", "channel": "web", "placements": ["greeting"]}
    with serving(tmp_path) as (_, started):
        for form in FORMS:
            said = await called(
                started["web_port"], form, "DecisionService", "watch",
                requests=[{"question": question, "heartbeatMs": 1_000}], most=2,
            )  # fmt: skip
            kinds = [answer["kind"] for answer in said["answers"]]
            assert (kinds, said["error"]) == (["WATCH_KIND_ANSWER", "WATCH_KIND_HEARTBEAT"], None), form

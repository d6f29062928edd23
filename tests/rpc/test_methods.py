"""No method and no service of the contract can be forgotten."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

import tact.v1
from service.rpc.edge import Current, Limits
from service.rpc.methods import CONTRACT, handlers_of, wrapped
from tests.rpc.messages import METHODS
from tests.rpc.world import edge_of


def test_every_method_is_served() -> None:
    """The server has a handler for each method of the descriptors, and streams where they stream."""
    handlers = handlers_of(Current(edge_of()), Limits())
    served = {(service, name) for service, methods in handlers.items() for name in methods}
    assert served == {(method.containing_service.full_name, method.name) for method in METHODS}
    for method in METHODS:
        handler = handlers[method.containing_service.full_name][method.name]
        assert handler.request_streaming == method.client_streaming
        assert handler.response_streaming == method.server_streaming
        assert handler.request_deserializer is None


def test_every_service_is_in_the_contract() -> None:
    """A service in a new .proto file must be served too."""
    modules = [import_module(f"tact.v1.{m.name}") for m in iter_modules(tact.v1.__path__) if m.name.endswith("_pb2")]
    with_services = {m.DESCRIPTOR.name for m in modules if m.DESCRIPTOR.services_by_name}
    assert with_services == {file.name for file in CONTRACT}


def test_a_method_without_implementation_stops_the_start() -> None:
    """The error names the method and the function to write."""
    with pytest.raises(RuntimeError, match=r"tact\.v1\.DecisionService\.Decide has no implementation: write `decide`"):
        wrapped(CONTRACT, {}, Limits())

"""The part of our own client that writes what models say, and asks whom they are to be asked about again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TypeAlias

import grpc

from service.rpc.calling import Answer, CallFailed, answer_to
from service.rpc.plain import plain
from service.rpc.questions import Prediction, Types
from tact.v1 import prediction_pb2, prediction_pb2_grpc

Changes: TypeAlias = list[dict[str, str]]
"""Customers of whom something changed, each with `customer_id` and `loan`."""


class PredictionClient:
    """Writes predictions and works through changes."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float, types: Types) -> None:
        self._predictions = prediction_pb2_grpc.PredictionServiceStub(channel)
        self._timeout_s = timeout_s
        self._types = types

    async def record(self, predictions: Iterable[Prediction]) -> Answer:
        """Record 1 to 1,000 predictions and return what became of each."""
        asked = self._types.predictions(predictions)
        return await answer_to(self._predictions.RecordPredictions(asked, timeout=self._timeout_s))

    async def changes(self, most: int = 0, lease_s: int = 0, *, until_none: bool = False) -> AsyncIterator[Changes]:
        """Yield changes as they come, up to `most` at a time, each lent for `lease_s` seconds (0: 60)."""
        asked = prediction_pb2.WatchChangesRequest(most=most, lease_seconds=lease_s, until_none=until_none)
        call = self._predictions.WatchChanges(asked)
        try:
            async for answer in call:
                yield plain(answer)["changes"]
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()

    async def finish(self, changes: Iterable[Mapping[str, str]]) -> Answer:
        """Give back 1 to 1,000 changes that have been worked on."""
        told = [prediction_pb2.Change(customer_id=one["customer_id"], loan=one["loan"]) for one in changes]
        asked = prediction_pb2.FinishChangesRequest(changes=told)
        return await answer_to(self._predictions.FinishChanges(asked, timeout=self._timeout_s))

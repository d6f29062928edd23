"""`python -m service.simulating.worker PLAN`: decide parts of a log again, one for each line of JSON that names one.

A part is a file of rows; beside it go `NAME.tally` and `NAME.parquet`, the policies of its rows. Each is answered with
a line of JSON: how many rows it had, or an error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from models.artifacts import load_folded
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.loader import load_strategy
from service.core.rules import Kind
from service.core.strategy import Strategy
from service.simulating.deciding import Deciding
from service.simulating.logged import Logged, LoggedRow, decisions_of
from service.simulating.policies import PolicyWriter, about, policy_writer
from service.simulating.segments import Segment
from service.simulating.spread import read_part
from service.simulating.tally import Counting, Moment, Tally


class Plan(Struct, frozen=True):
    """How parts of a log are decided again: under which strategy and model, and compared with what.

    `against` are the folders of another strategy and its model, empty where it is compared with what the log said; the
    model's may be empty, too. `told` are the rules of promises that the log tells of.
    """

    strategy: str
    model: str
    against: tuple[str, str]
    segments: tuple[Segment, ...]
    told: tuple[str, ...]


class Worker:
    """Decides parts of a log again."""

    def __init__(self, plan: Plan) -> None:
        self._segments = plan.segments
        told = frozenset(plan.told)
        own = loaded(plan.strategy, plan.model)
        rival = loaded(*plan.against) if plan.against[0] else None
        self._own = Deciding(*own, told)
        self._rival = Deciding(*rival, told) if rival else None
        self._about = about(own, rival)

    def part(self, rows: Sequence[LoggedRow], policies: Path) -> Tally:
        """Decide all rows of some customers again; write their policies, and return what was counted."""
        counting = Counting(self._own, self._segments, self._kind_before)
        with policy_writer(policies, self._own, self._rival, self._about) as writer:
            for decisions in decisions_of(rows):
                counting.person(tuple(self._moments(decisions, writer)))
        return counting.tally

    def _moments(self, decisions: Sequence[Logged], writer: PolicyWriter) -> Iterator[Moment]:
        carried = self._own.beginning()
        rivals = (self._rival, self._rival.beginning()) if self._rival else None
        for logged in decisions:
            found = self._own.again(logged, carried)
            rival = rivals[0].again(logged, rivals[1]) if rivals else None
            writer.add(logged, found, rival)
            before = tuple(row.action for row in (rival.spoken if rival else logged.rows))
            yield Moment(logged, before, tuple(spoken.action for spoken in found.spoken), found)

    def _kind_before(self, action: str) -> Kind | None:
        """Return the kind of what was said before; what no strategy here has counts as an offer."""
        for deciding in (self._rival, self._own):
            if deciding is not None and action in deciding.kinds:
                return deciding.kinds[action]
        return Kind.OFFER


def loaded(folder: str, model: str) -> tuple[Strategy, Folded | None]:
    """Load a strategy, and its model where one is named."""
    strategy = load_strategy(Path(folder))
    space = FeatureSpace.of(strategy.schema, strategy.features)
    return strategy, load_folded(Path(model), space) if model else None


def main(plan: Path) -> None:
    """Answer the lines of stdin until it ends."""
    worker = Worker(msgspec.json.decode(plan.read_bytes(), type=Plan))
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(_answer(worker, Path(json.loads(line))))}\n")
        sys.stdout.flush()


def _answer(worker: Worker, part: Path) -> dict[str, object]:
    try:
        rows = read_part(part)
        tally = worker.part(rows, part.with_suffix(".parquet"))
        part.with_suffix(".tally").write_bytes(msgspec.msgpack.encode(tally))
        return {"rows": len(rows)}
    except Exception as error:  # noqa: BLE001  whoever asked tells it, without the data that it is about
        return {"error": f"deciding again failed ({type(error).__name__})"}


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Write a folder of parts, and die half way: `python -m tests.logs.dying FOLDER FORMAT STEPS MOMENT`.

The process is killed, as kill -9 does, when it opens, names or removes its file number `MOMENT`; 0 lets it come to its
end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from models.context import ValueType
from service.logs.batch import Batches
from service.logs.parts import Format, opened

EVENTS = ("open", "os.rename", "os.remove")


def write(folder: Path, form: Format, steps: int) -> None:
    """Take the steps that are not in the folder yet: of each a decision and what came of it."""
    with opened(folder, form, "a service") as parts:
        begun = int(parts.positions.get(0, ("0", ""))[0])
        for step in range(begun + 1, steps + 1):
            waiting, shared = Batches(), {"decision_id": f"d{step}", "at": step, "customer_id": "anna", "action": "a"}
            waiting.decided({**shared, "probability": 1.0, "feature.past.steps": step}, {"past.steps": ValueType.INT})
            waiting.came({**shared, "kind": "shown", "amount": 0.5})
            parts.add(waiting.ready(), {0: (str(step), str(step))})


def dies_at(moment: int, folder: Path) -> None:
    """End this process as kill -9 does when it touches a file of the folder for the n-th time."""
    seen = 0

    def touched(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in EVENTS and str(folder) in str(arguments[0]):
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)


if __name__ == "__main__":
    at, form_name, count, when = Path(sys.argv[1]), Format(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    write(at.parent / "warm", form_name, 1)  # so that nothing is loaded late
    dies_at(when, at)
    write(at, form_name, count)

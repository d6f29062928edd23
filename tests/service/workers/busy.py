"""A worker's program that never turns its loop again once it is told to look at its folders."""

from __future__ import annotations

from service.workers import __main__ as program


def _for_ever(serves: program.Serves) -> None:
    while True:
        pass


if __name__ == "__main__":
    program.Serves.look_now = _for_ever  # type: ignore[assignment, method-assign]  # as a defect might
    program.main()

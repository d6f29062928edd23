"""The rows that one model is learned from: those of one action, of a group of actions, or of all."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions, Floats, Whole
from ..fitting import FEWEST_OF_EACH, FEWEST_ROWS

ALL = "all actions"

MOST_SHARED = 20_000
"""A pool of several actions with more rows is not tried: its actions have many of their own, and it would take longer
to learn from than everything else together.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Rows of one or several actions, oldest first; a row where nothing was said counts once an action.

    `places` (rows,) are rows of the decisions, `action` (rows,) the codes of the actions, `y` (rows,) their outcomes.
    `codes` are the actions that the pool speaks for, also those of which it has no row. Nothing of the decisions from
    the place `until` on is known with it.
    """

    name: str
    codes: tuple[int, ...]
    places: Whole
    action: Whole
    y: Floats
    until: int = sys.maxsize

    def of(self, code: int) -> npt.NDArray[np.bool_]:
        """Return which rows are those of an action."""
        return np.equal(self.action, code)

    def lack(self, code: int | None = None) -> str:
        """Say in words why nothing can be learned from it, or from one action's rows; else return an empty text."""
        y = self.y if code is None else self.y[self.of(code)]
        outcomes = int(y.sum())
        if not len(y):
            return "no rows"
        if len(y) < FEWEST_ROWS:
            return f"{len(y)} rows; {FEWEST_ROWS} are needed"
        if min(outcomes, len(y) - outcomes) < FEWEST_OF_EACH:
            return f"{outcomes} outcomes in {len(y)} rows; {FEWEST_OF_EACH} with and without are needed"
        return ""

    def before(self, place: int) -> Pool:
        """Return the part before a row of the decisions."""
        return replace(self.part(self.places < place), until=min(place, self.until))

    def part(self, rows: npt.NDArray[np.bool_]) -> Pool:
        """Return some of the rows."""
        return Pool(self.name, self.codes, self.places[rows], self.action[rows], self.y[rows], self.until)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The rows of every action when it was said, or when nothing was; and in which group each action is.

    `groups` (actions,) names the group of each code, empty where an action has none.
    """

    rows: Pool
    groups: tuple[str, ...]

    def before(self, place: int) -> Side:
        """Return the part before a row of the decisions."""
        return Side(self.rows.before(place), self.groups)

    def own(self, code: int, name: str) -> Pool:
        """Return the rows of one action."""
        part = self.rows.part(self.rows.of(code))
        return replace(part, name=name, codes=(code,))

    def shared(self) -> list[Pool]:
        """Return the pools of several actions: one a group, and one of all actions where there are several groups."""
        named = sorted({group for group in self.groups if group})
        members = {group: [c for c in range(1, len(self.groups)) if self.groups[c] == group] for group in named}
        found = [self._of(f"group {group}", codes) for group, codes in members.items() if len(codes) > 1]
        everyone = list(range(1, len(self.groups)))
        if len(everyone) > 1 and not any(len(codes) == len(everyone) for codes in members.values()):
            found.append(self._of(ALL, everyone))
        return [pool for pool in found if 0 < len(pool.y) <= MOST_SHARED]

    def _of(self, name: str, codes: Sequence[int]) -> Pool:
        part = self.rows.part(np.isin(self.rows.action, codes))
        return replace(part, name=name, codes=tuple(codes))


def said(decisions: Decisions, groups: Mapping[str, str]) -> Side:
    """Return the rows of every action when it was said."""
    known = (decisions.action > 0) & ~np.isnan(decisions.happened[np.arange(len(decisions)), decisions.action])
    places = np.flatnonzero(known)
    action = decisions.action[places]
    return _side(decisions, groups, places, action, decisions.happened[places, action])


def silent(decisions: Decisions, groups: Mapping[str, str]) -> Side:
    """Return the rows where nothing was said, once for every action of which it is known whether it happened anyway."""
    quiet = np.flatnonzero(decisions.action == 0)
    rows, codes = np.nonzero(~np.isnan(decisions.happened[quiet]))
    places, codes = quiet[rows[codes > 0]], codes[codes > 0]
    return _side(decisions, groups, places, codes, decisions.happened[places, codes])


def _side(decisions: Decisions, groups: Mapping[str, str], places: Whole, action: Whole, y: Floats) -> Side:
    codes = tuple(range(1, len(decisions.actions)))
    return Side(Pool("", codes, places, action, y), tuple(groups.get(name, "") for name in decisions.actions))

"""mabwiser's part: LinUCB with an arm for each action: `linucb FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from mabwiser.mab import MAB, LearningPolicy

from benchmarks.peers.programs.answering import answer_when_told
from benchmarks.peers.programs.asked import Asked

LEARNED_FROM = 2000


def learned(asked: Asked, rows: np.typing.NDArray[np.float64]) -> MAB:
    """Return arms that have learned from draws at random, whose rewards depend on customer and action."""
    dice = np.random.default_rng(7)
    whose, said = dice.integers(0, len(rows), LEARNED_FROM), dice.integers(0, len(asked.actions), LEARNED_FROM)
    bandit = MAB(list(asked.actions), LearningPolicy.LinUCB(alpha=1.0))
    bandit.fit([asked.actions[one] for one in said], ((whose + said) % 5 == 0).astype(float).tolist(), rows[whose])
    return bandit


def main(folder: Path) -> None:
    """Learn, look at every answer once, and answer when told."""
    asked = Asked.read(folder)
    known = [place for place, column in enumerate(asked.columns) if not column.endswith("?")]
    rows = np.asarray(asked.rows)[:, known]  # without the marks of what is unknown, which would cost it as much again
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
    bandit = learned(asked, rows)
    questions = [row.reshape(1, -1) for row in rows]
    answers = {str(bandit.predict(one)) for one in questions}
    if not answers <= set(asked.actions):
        sys.exit("an answer is no action")
    answer_when_told(lambda row: bandit.predict(questions[row]), len(questions), {"distinct": len(answers)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

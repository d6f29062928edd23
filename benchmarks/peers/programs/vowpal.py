"""Vowpal Wabbit's part: a contextual bandit over the actions, asked in its text format: `vowpal ready|written FOLDER`.

`ready` hands the same finished texts over again and again; `written` writes the customer's values into the text before,
as whoever asks about what is known just now has to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from vowpalwabbit import Workspace

from benchmarks.peers.programs.answering import answer_when_told
from benchmarks.peers.programs.asked import Asked

# Crossing the context with the action gives each action weights of its own, as our models have; without it the context
# could not change the ranking.
ARGUMENTS = "--cb_explore_adf --epsilon 0.05 -q ca -b 18 --quiet"
LEARNED_FROM = 1000
ROUNDED = 1e-4  # probabilities are 32 bits wide


def context(asked: Asked, row: int) -> str:
    """Return the line of a customer, in which zeros are left out."""
    known = [f"{column}:{value:.6g}" for column, value in enumerate(asked.rows[row]) if value]
    return f"shared |c {' '.join(known)}"


def learned(asked: Asked, actions: list[str]) -> Workspace:
    """Return a bandit that has learned from actions drawn at random, whose outcomes depend on customer and action."""
    bandit, dice = Workspace(ARGUMENTS), Random(7)
    for _ in range(LEARNED_FROM):
        row, action = dice.randrange(len(asked.rows)), dice.randrange(len(actions))
        lines = [context(asked, row), *actions]
        cost = -float((row + action) % 5 == 0)
        lines[1 + action] = f"0:{cost}:{1 / len(actions):.6f} {lines[1 + action]}"
        bandit.learn(lines)
    return bandit


def main(how: str, folder: Path) -> None:
    """Learn, look at every answer once, and answer when told."""
    asked = Asked.read(folder)
    actions = [f"|a {action}" for action in asked.actions]
    bandit, after = learned(asked, actions), "\n".join(["", *actions])
    texts = [context(asked, row) + after for row in range(len(asked.rows))]
    answers = [bandit.predict(text) for text in texts]
    if any(len(one) != len(actions) or abs(sum(one) - 1) > ROUNDED for one in answers):
        sys.exit("an answer is no probability of each action")
    seen = {"distinct": len({one.index(max(one)) for one in answers})}
    if how == "ready":
        answer_when_told(lambda row: bandit.predict(texts[row]), len(texts), seen)
    else:
        answer_when_told(lambda row: bandit.predict(context(asked, row) + after), len(texts), seen)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

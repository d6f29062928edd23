"""Item affinity: which items customers have together, by the cosine of who bought them.

Likeness of two items is the number of customers who bought both over the root of the product of the numbers who bought
each (item-to-item collaborative filtering: Sarwar et al., 2001). Pairs of fewer than `FEWEST_TOGETHER` customers say
nothing: chance makes them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from math import sqrt
from typing import Any

import numpy as np

from models.predictor_artifacts import MOST_ITEMS
from models.predictors import Affinity

from ..errors import TrainingRefused
from ..fitting import HELD_OUT
from .history import Bought

FEWEST_TOGETHER = 5
_MOST_EACH = 256  # the latest of a customer: pairs grow with the square


def affinity(rows: Sequence[Bought]) -> Affinity:
    """Return what is bought together; raise `TrainingRefused` where no pair of items has enough customers."""
    baskets: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        baskets[row.customer][row.item] = None
    counts = Counter(item for basket in baskets.values() for item in basket)
    items = sorted(sorted(counts, key=lambda item: (-counts[item], item))[:MOST_ITEMS])
    place = {item: i for i, item in enumerate(items)}
    pairs = Counter(
        pair
        for basket in baskets.values()
        for pair in combinations(sorted(place[item] for item in list(basket)[-_MOST_EACH:] if item in place), 2)
    )
    likeness = np.zeros((len(items), len(items)))
    for (one, other), together in pairs.items():
        if together >= FEWEST_TOGETHER:
            likeness[one, other] = likeness[other, one] = together / sqrt(counts[items[one]] * counts[items[other]])
    if not likeness.any():
        raise TrainingRefused(
            f"no two items were bought by the same {FEWEST_TOGETHER} customers; nothing goes together"
        )
    return Affinity(tuple(items), likeness)


def metrics_of(rows: Sequence[Bought], keep: int) -> dict[str, Any]:
    """Measure on the latest rows how often what was bought next was among the `keep` items named.

    `hits_of_the_commonest` names instead the items that most customers had bought before, but for those in the basket.
    """
    cut = len(rows) - round(len(rows) * HELD_OUT)
    past, late = rows[:cut], [row for row in rows[cut:] if row.before and row.item not in row.before]
    if not late:
        return {}
    try:
        model = affinity(past)
    except TrainingRefused:
        return {}
    had: dict[str, set[str]] = defaultdict(set)
    for row in past:
        had[row.item].add(row.customer)
    common = sorted(had, key=lambda item: (-len(had[item]), item))
    named: dict[str, Callable[[Bought], Sequence[str]]] = {
        "hits": lambda row: model.with_these(row.before, keep),
        "hits_of_the_commonest": lambda row: [item for item in common if item not in row.before][:keep],
    }
    shares = {name: sum(row.item in says(row) for row in late) / len(late) for name, says in named.items()}
    return {"rows": len(late), "keep": keep, **shares}

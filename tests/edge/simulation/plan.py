"""What one seed is about, drawn from its number: the weather, what breaks when, who calls."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.edge.simulation.network import Weather, Window

DAY_MS = 86_400_000
MOST_LAG_S = 0.01
CALM_S = 0.5
"""How long everything is well at first, so that all customers are there."""
WEATHERS = (
    Weather(),
    Weather(slow=0.2, slow_s=0.3),
    Weather(slow=0.05, slow_s=2.0, split=0.2),
    Weather(cut_before=0.03, cut_after=0.03),
    Weather(cut_after=0.1, split=0.1),
    Weather(silent=0.04),
    Weather(delay_s=0.02, slow=0.1, slow_s=0.1, cut_before=0.01, cut_after=0.02, silent=0.01, split=0.1),
)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that is done to the service or its store at a moment: `fail-over`, `crash`, `forget` or `steps`."""

    at_s: float
    what: str
    process: int = 0
    skew_ms: int = 0
    down_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One seed's world. `skews_ms` are how far the clocks of the processes are off; `alias` says that the first
    customer has a second identity; `lag_s` is how far the replica is behind.
    """

    seed: int
    weather: Weather
    windows: tuple[Window, ...]
    happenings: tuple[Happening, ...]
    skews_ms: tuple[int, ...]
    customers: tuple[str, ...]
    alias: bool
    callers: int
    calls: int
    spread_s: float
    durable: bool
    promises: bool
    lag_s: float

    @property
    def calm(self) -> bool:
        """Whether nothing is ever wrong, and no replica that is to confirm is further behind than a decision waits."""
        confirmed_late = self.durable and self.lag_s > MOST_LAG_S
        return self.weather == Weather() and not (self.windows or self.happenings or confirmed_late)

    @property
    def processes(self) -> tuple[str, ...]:
        """The names of the processes."""
        return tuple(f"p{number}" for number in range(len(self.skews_ms)))


def plan(seed: int) -> Plan:
    """Draw a world from its number."""
    rng = Random(f"plan {seed}")
    processes = rng.choice((2, 2, 3))
    callers, calls, spread_s = rng.choice((2, 3, 4)), rng.choice((4, 5, 7)), rng.choice((0.01, 0.2, 4.0))
    ends_s = CALM_S + max(1.0, calls * spread_s)
    return Plan(
        seed=seed,
        weather=rng.choice(WEATHERS),
        windows=tuple(_window(rng, ends_s, processes) for _ in range(rng.choice((0, 0, 1, 2)))),
        happenings=tuple(_happening(rng, ends_s, processes) for _ in range(rng.choice((0, 0, 1, 2)))),
        skews_ms=tuple(rng.choice((0, 0, -DAY_MS, DAY_MS, rng.randrange(-5000, 5000))) for _ in range(processes)),
        customers=("ann", "ben", "cat")[: rng.choice((1, 2, 3))],
        alias=rng.random() < 0.3,
        callers=callers,
        calls=calls,
        spread_s=spread_s,
        durable=rng.random() < 0.3,
        promises=rng.random() < 0.4,
        lag_s=rng.choice((0.0, 0.002, 0.05)),
    )


def _window(rng: Random, ends_s: float, processes: int) -> Window:
    begins_s = CALM_S + rng.random() * (ends_s - CALM_S)
    lasts_s, whose = rng.choice((0.05, 0.3, 1.5, 6.0)), f"p{rng.randrange(processes)}"
    return Window(begins_s, begins_s + lasts_s, rng.choice(("", whose)))


def _happening(rng: Random, ends_s: float, processes: int) -> Happening:
    at_s = CALM_S + rng.random() * (ends_s - CALM_S)
    what = rng.choice(("fail-over", "fail-over", "crash", "forget"))
    return Happening(at_s, what, rng.randrange(processes), rng.randrange(-200, 200), rng.choice((0.0, 0.1, 1.0)))

"""Figures of bars and points: values of policies, effects of features, coverage of actions, fairness."""

from __future__ import annotations

from collections.abc import Sequence

from .ink import FAINT, INK, MOST_BARS, PAPER, SERIES, WIDE, Axes, drawn, legend, named, nothing_to_draw, numbers, style
from .parts import Cell, Estimate, Figure, Group


def off_policy_arms(arms: Sequence[Estimate], unit: str) -> Figure:
    """Draw the value of every arm with its interval, the highest on top; refused ones are named without a value."""
    rows = [(arm.name, arm.value, arm.low, arm.high, arm.words) for arm in arms]
    table = numbers("Values of the arms", ("arm", unit, "low", "high", "remark"), rows)
    if not arms:
        return nothing_to_draw("Values of the arms", table)
    ordered = sorted(arms, key=lambda arm: float("-inf") if arm.value is None else arm.value)[-MOST_BARS:]

    def draw(axes: Sequence[Axes]) -> None:
        axes[0].axvline(0.0, color=FAINT, linewidth=1)
        for place, arm in enumerate(ordered):
            if arm.value is not None:
                if arm.low is not None and arm.high is not None:
                    axes[0].plot([arm.low, arm.high], [place, place], color=SERIES[0], linewidth=2)
                axes[0].plot([arm.value], [place], marker="o", color=SERIES[0])
        _sideways(axes[0], [arm.name + ("" if arm.value is not None else " (refused)") for arm in ordered])
        named(axes[0], "Values of the arms", unit, "")

    best = next((arm for arm in reversed(ordered) if arm.value is not None), None)
    words = "none has a value" if best is None else f"highest is {best.name} with {_with_interval(best)}"
    return drawn(draw, f"Values of {len(arms)} arms in {unit}: {words}.", table, height=_tall(len(ordered)), width=WIDE)


def feature_effects(effects: Sequence[Estimate], what: str) -> Figure:
    """Draw how much each feature moves something (`what`, with its unit), the strongest on top."""
    ordered = sorted(effects, key=lambda effect: -abs(effect.value or 0.0))
    rows = [(effect.name, effect.value, effect.low, effect.high, effect.words) for effect in ordered]
    table = numbers("Effects of the features", ("feature", what, "low", "high", "remark"), rows)
    if not ordered:
        return nothing_to_draw("Effects of the features", table)
    shown = ordered[:MOST_BARS][::-1]

    def draw(axes: Sequence[Axes]) -> None:
        axes[0].axvline(0.0, color=FAINT, linewidth=1)
        for place, effect in enumerate(shown):
            axes[0].barh(place, effect.value or 0.0, color=SERIES[0 if (effect.value or 0.0) >= 0 else 1], height=0.7)
            if effect.low is not None and effect.high is not None:
                axes[0].plot([effect.low, effect.high], [place, place], color=INK, linewidth=1)
        _sideways(axes[0], [effect.name for effect in shown])
        named(axes[0], "Effects of the features", what, "")

    words = "; ".join(f"{effect.name} {effect.value or 0.0:.4g}" for effect in ordered[:3])
    return drawn(
        draw,
        f"Effects of {len(ordered)} features on {what}, strongest first: {words}.",
        table,
        height=_tall(len(shown)),
        width=WIDE,
    )


def coverage_of_actions(actions: Sequence[str], shares: Sequence[tuple[str, Sequence[float]]]) -> Figure:
    """Draw which share of the decisions each action gets, by source ("the log", "the strategy" …), from 0 to 1."""
    head = ("action", *(name for name, _ in shares))
    rows: list[tuple[Cell, ...]] = [
        (action, *(float(values[i]) for _, values in shares)) for i, action in enumerate(actions)
    ]
    table = numbers("Coverage of actions", head, rows)
    if not actions or not shares:
        return nothing_to_draw("Coverage of actions", table)
    order = sorted(range(len(actions)), key=lambda i: (max(float(values[i]) for _, values in shares), -i))[-MOST_BARS:]

    def draw(axes: Sequence[Axes]) -> None:
        _side_by_side(
            axes[0], [[float(values[i]) for i in order] for _, values in shares], [name for name, _ in shares]
        )
        _sideways(axes[0], [actions[i] for i in order])
        named(axes[0], "Coverage of actions", "share of decisions", "")

    never = [action for action, *found in rows if not any(found)]
    words = f"never said: {', '.join(map(str, never[:10]))}" if never else "every action occurs"
    height = _tall(len(order) * len(shares) * 0.6)
    return drawn(draw, f"Coverage of {len(actions)} actions: {words}.", table, height=height, width=WIDE)


def fairness(groups: Sequence[Group], by: str) -> Figure:
    """Draw what happened to each group of people, by a field; the names of the shares are those of the first."""
    names = [name for name, _ in groups[0].shares] if groups else []
    rows: list[tuple[Cell, ...]] = [(group.name, group.rows, *(share for _, share in group.shares)) for group in groups]
    table = numbers(f"Fairness by {by}", (by, "rows", *names), rows)
    if not names:
        return nothing_to_draw(f"Fairness by {by}", table)
    shown = groups[:MOST_BARS][::-1]

    def draw(axes: Sequence[Axes]) -> None:
        _side_by_side(axes[0], [[dict(group.shares).get(name, 0.0) for group in shown] for name in names], names)
        _sideways(axes[0], [f"{group.name} ({group.rows:,})" for group in shown])
        named(axes[0], f"Fairness by {by}", "share", "")

    spans = []
    for name in names:
        found = [dict(group.shares).get(name, 0.0) for group in groups]
        spans.append(f"{name} {min(found):.1%} to {max(found):.1%}")
    height = _tall(len(shown) * len(names) * 0.6)
    return drawn(draw, f"By {by}, {len(groups)} groups: {'; '.join(spans)}.", table, height=height, width=WIDE)


def _side_by_side(axes: Axes, series: Sequence[Sequence[float]], names: Sequence[str]) -> None:
    thick = 0.8 / len(series)
    for place, (values, name) in enumerate(zip(series, names, strict=True)):
        ys = [i + 0.4 - thick * (place + 0.5) for i in range(len(values))]
        axes.barh(ys, values, height=thick * 0.95, label=name, color=style(place)["color"], edgecolor=PAPER)
    if len(series) > 1:
        legend(axes)


def _sideways(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="y")


def _short(name: str) -> str:
    return name if len(name) <= 36 else f"{name[:35]}…"


def _tall(bars: float) -> float:
    return 1.1 + 0.27 * max(bars, 2)


def _with_interval(arm: Estimate) -> str:
    interval = "" if arm.low is None or arm.high is None else f" ({arm.low:.4g} to {arm.high:.4g})"
    return f"{arm.value:.4g}{interval}"

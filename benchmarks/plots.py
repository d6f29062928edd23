"""Pictures of a run: how long calls take, where the time goes, and how a decision grows with the actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.document import Document, SaidSection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = {"floor": "#7a7a7a", "decide": "#1f5fa8", "stream": "#2b8a5a"}


def draw(said: Document, folder: Path) -> tuple[Path, ...]:
    """Draw what a run has the figures for into a folder, as SVG, and return the files; none without matplotlib."""
    sections = {section.name: section for section in said.sections}
    wanted: Mapping[str, tuple[str, Callable[[Axes, SaidSection], bool]]] = {
        "latency": ("latency", latency_distribution),
        "stages": ("telemetry", stage_breakdown),
        "actions": ("matrix", growth_with_actions),
    }
    made = []
    for name, (section, picture) in wanted.items():
        if section in sections and (file := _drawn(folder / f"{name}.svg", picture, sections[section])):
            made.append(file)
    return tuple(made)


def _drawn(file: Path, picture: Callable[[Axes, SaidSection], bool], section: SaidSection) -> Path | None:
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        return None
    canvas = Canvas(figsize=(7.5, 4.2), layout="constrained")
    axes = canvas.add_subplot()
    if not picture(axes, section):
        return None
    axes.grid(visible=True, alpha=0.25)
    file.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(file, metadata={"Date": None})
    return file


def latency_distribution(axes: Axes, section: SaidSection) -> bool:
    """Draw latency by percentile, of calls on a fixed schedule, the tail stretched; tell whether there was any."""
    curves: Mapping[str, list[list[float]]] = section.details.get("curves", {})
    for name, curve in curves.items():
        beyond = [1 / (1 - share) for share, _ in curve]
        axes.plot(beyond, [us / 1000 for _, us in curve], label=name, **_style(name))
    if not curves:
        return False
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = {2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %"}
    axes.set_xticks(list(ticks), labels=list(ticks.values()))
    axes.set_xlabel("share of calls that are answered within")
    axes.set_ylabel("ms since the call was due")
    axes.legend(frameon=False)
    return True


def stage_breakdown(axes: Axes, section: SaidSection) -> bool:
    """Draw where the time of a decision goes, a bar a stage; tell whether there was any."""
    stages = [(f.case["stage"], f.median) for f in section.figures if "stage" in f.case and f.measure == "mean"]
    if not stages:
        return False
    names = [str(name) for name, _ in stages]
    bars = axes.barh(names, [us for _, us in stages], color=INK["decide"])
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("µs of a decision, mean, with one call in flight")
    return True


def growth_with_actions(axes: Axes, section: SaidSection) -> bool:
    """Draw the CPU of a decision over the number of actions, and of the floor; tell whether there was any."""
    found = [f for f in section.figures if f.measure == "server CPU" and set(f.case) == {"actions", "in_flight"}]
    fewest = min((f.case["in_flight"] for f in found), default=0)
    found = [f for f in found if f.case["in_flight"] == fewest]
    sizes = sorted({float(f.case["actions"]) for f in found if f.subject == "decide"})
    for subject in ("floor", "decide"):
        points = sorted((float(f.case["actions"]), f.median) for f in found if f.subject == subject)
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=subject, **_style(subject))
    if len(sizes) < 2:
        return False
    axes.set_xscale("log")
    axes.set_xticks(sizes, labels=[f"{size:,.0f}" for size in sizes])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("actions")
    axes.set_ylabel("µs of CPU a call")
    axes.legend(frameon=False)
    return True


def _style(name: str) -> dict[str, Any]:
    subject = name.partition(",")[0].partition(" ")[0]
    return {"color": INK[subject]} if subject in INK else {}

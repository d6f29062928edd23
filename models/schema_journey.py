"""Read the stages of the customer's journey: the section `journey` of a strategy's documents."""

from __future__ import annotations

from models.documents import Documents, Problem
from models.shapes import NAME, Misfit, described
from models.trees import Items

_WANTED = "write a list of names in the order of the journey, such as [looking-around, buying, using]"


def read_stages(documents: Documents, problems: list[Problem]) -> tuple[str, ...]:
    """Return the stages in their order; none where no document says so."""
    sections = list(documents.section("journey"))
    for again in sections[1:]:
        message = f"the section `journey` stands in {sections[0].file}:{sections[0].line} already; keep one of them"
        problems.append(Problem(again.file, again.line, message))
    if not sections:
        return ()
    section, stages = sections[0], dict[str, None]()
    if not isinstance(section, Items):
        problems.append(Problem(section.file, section.line, f"`journey` is {described(section)}; {_WANTED}"))
        return ()
    for node in section.nodes:
        try:
            stage = NAME.read(node)
        except Misfit as misfit:
            problems.append(Problem(node.file, node.line, f"`journey` {misfit}"))
            continue
        if stage in stages:
            problems.append(Problem(node.file, node.line, f"`journey` repeats {described(node)}; remove one"))
        stages[stage] = None
    return tuple(stages)

"""The section `peers`: decisions beside what others serve, and our whole logic beside bandits in process."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers.inprocess import bandits
from benchmarks.peers.ours import Ours
from benchmarks.peers.served import TITLES, beside_servers
from benchmarks.section import Bench, SectionResult

IN_PROCESS = 100
"""Actions that are chosen from in process, whatever the strategy of the run has."""
NO_TIME = "a quick run has no time to start it"


class Peers:
    """What others do in the same run. A peer that does not install or start here has no figures, and says why."""

    name = "peers"
    says = "Beside others: MLServer, Feast and BentoML over their protocols, Vowpal Wabbit and mabwiser in process"

    def run(self, bench: Bench) -> SectionResult:
        """Install what is not there, and measure; a quick run takes what is there, in process alone."""
        folder = bench.folder / "peers"
        with bench.stage() as stage:
            version = stage.version(replace(stage.size, actions=IN_PROCESS))
            asked = Ours(*version).asked()
            inside = bandits(bench, version, asked, folder / "in-process")
            if bench.quick:
                return joined(inside, SectionResult(left_out=dict.fromkeys(TITLES, NO_TIME)))
            return joined(beside_servers(bench, stage, asked, folder), inside)


def joined(one: SectionResult, other: SectionResult) -> SectionResult:
    """Return two results as one."""
    return SectionResult(
        (*one.figures, *other.figures),
        (*one.bounds, *other.bounds),
        (*one.notes, *other.notes),
        {**one.left_out, **other.left_out},
        {**one.details, **other.details},
    )


SECTION = Peers()

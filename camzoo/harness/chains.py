"""From the maps of CAM methods to those of chains: every step is a stage of its own.

Chains that begin alike share their steps' results, as they share the classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camzoo.core.spec import Spec
from camzoo.harness import stages
from camzoo.harness.cells import Cell
from camzoo.harness.faults import PLUGIN_FAULTS, require_own_fault
from camzoo.harness.kept import Kept
from camzoo.harness.path import map_methods
from camzoo.harness.store import Artifact
from camzoo.harness.workers.step import read_report
from camzoo.steps.base import MapStep
from camzoo.steps.chain import Chain


@dataclass(frozen=True)
class Mapped:
    """The maps of a cell.

    Attributes:
        made: The maps of the method, then those after each step, by chain as in
            :attr:`camzoo.config.BenchConfig.methods`.
        failures: Why a chain has none, by chain.
    """

    made: dict[str, tuple[Artifact, ...]]
    failures: dict[str, str]

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """The finished maps, by chain."""
        return {text: made[-1] for text, made in self.made.items()}

    def notes(self, text: str) -> tuple[str, ...]:
        """What a reader must see beside the numbers of a chain: what any of its steps said."""
        reports = [read_report(artifact.folder) for artifact in self.made[text]]
        return tuple(dict.fromkeys(n for report in reports for n in report.get("notes", ())))

    def cost(self, texts: Sequence[str]) -> dict[str, Any]:
        """What the steps behind the maps of their methods took, for all of these chains together.

        Each step counts once. ``seconds`` is None where the time of a step is not known.
        """
        once = {a.digest: a for text in texts for a in self.made[text][1:]}
        costs = [read_report(artifact.folder).get("cost") for artifact in once.values()]
        known = [cost for cost in costs if cost]

        def largest(what: str) -> float | None:
            return max((cost[what] for cost in known if cost.get(what)), default=None)

        return {
            "seconds": sum(c["seconds"] for c in known) if len(known) == len(costs) else None,
            "memory_mib": largest("memory_mib"),
            "cuda_mib": largest("cuda_mib"),
            "resumed": any(cost["resumed"] for cost in known),
        }

    def facts(self) -> dict[str, dict[str, Any]]:
        """What the steps of each chain reported, by chain."""
        found = {}
        for text, made in self.made.items():
            facts: dict[str, Any] = {}
            for artifact in made:
                facts |= read_report(artifact.folder).get("facts", {})
            if facts:
                found[text] = facts
        return found


def map_chains(cell: Cell, chains: Mapping[str, Chain]) -> Mapped:
    """Make the maps of chains, by their texts; one that fails is left out, with the reason."""
    lost = {str(chain.head): fault for chain in chains.values() if (fault := chain.fault)}
    heads = tuple(dict.fromkeys(c.head for c in chains.values() if str(c.head) not in lost))
    plain = map_methods(cell, heads)
    unmapped = plain.failures | lost
    made: dict[str, tuple[Artifact, ...]] = {}
    failures: dict[str, str] = {}
    for text, chain in chains.items():
        head = str(chain.head)
        if head in unmapped:
            failures[text] = unmapped[head]
            continue
        try:
            with Kept(cell.seed).apart():
                made[text] = _run_steps(cell, chain, plain.artifacts[head])
        except PLUGIN_FAULTS as error:
            store = cell.context.store.root
            failures[text] = require_own_fault(error, f"the method {text}", store)
    return Mapped(made, failures)


def _run_steps(cell: Cell, chain: Chain, base: Artifact) -> tuple[Artifact, ...]:
    """Run the steps of a chain behind the maps ``base`` of its method: those, and all after."""
    made = [base]
    for spec, step in zip(chain.steps, chain.built, strict=True):
        made.append(_run_step(cell, chain, spec, step, base, made[-1]))
    return tuple(made)


def _run_step(
    cell: Cell, chain: Chain, spec: Spec, step: MapStep, base: Artifact, source: Artifact
) -> Artifact:
    def make(folder: Path) -> None:
        stages.STEPS.worker(
            folder, cell, step,
            name=spec.name, method=chain.head, base=base.folder, source=source.folder,
        )  # fmt: skip

    return cell.context.store.get(
        cell.requests.step(chain, spec, step, base=base, source=source), make
    )

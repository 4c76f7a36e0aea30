"""The baselines of a cell: let them learn, segment the test volumes, and score those."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camzoo.core.errors import CamzooError, FirewallError
from camzoo.core.files import write_text
from camzoo.core.spec import Spec, build
from camzoo.evaluate.result_files import PREDICTIONS, read_scores
from camzoo.harness import stages
from camzoo.harness.cells import Cell
from camzoo.harness.chains import Mapped, map_chains
from camzoo.harness.context import Context, Place
from camzoo.harness.faults import PLUGIN_FAULTS, require_own_fault
from camzoo.harness.kept import Kept
from camzoo.harness.manifest import COSTS
from camzoo.harness.path import score_baselines
from camzoo.harness.requests import line_of
from camzoo.harness.store import Artifact
from camzoo.harness.workers.segment import read_cost
from camzoo.registries import baselines
from camzoo.segment.base import Baseline
from camzoo.segment.selection import chains_read
from camzoo.steps.chain import Chain


@dataclass(frozen=True)
class Segmented:
    """What the baselines of a cell gave.

    Attributes:
        records: Partial result rows, without the columns of the cell.
        costs: What each took, with the place of its predictions.
        failures: Why a baseline has no rows, by baseline.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def baseline_part(text: str) -> str:
    """How tasks and failures call a baseline, which may have the name of a method."""
    return f"baseline {text}"


def segment_cell(cell: Cell, named: Mapping[str, Spec]) -> Segmented:
    """Run baselines of a cell, by their texts; one that fails is left out, with the reason."""
    context, result = cell.context, Segmented()
    reads = _reads(context, named, result.failures)
    mapped = _maps(cell, reads)
    artifacts: dict[str, Artifact] = {}
    for name, chains in reads.items():
        try:
            _require_maps(tuple(chains), mapped.failures)
            with Kept(cell.seed).apart():
                artifacts[name] = _segment(cell, named[name], mapped.artifacts)
        except PLUGIN_FAULTS as error:
            who = f"the baseline {name}"
            result.failures[name] = require_own_fault(error, who, context.store.root)
    for name, scored in score_baselines(cell, artifacts).items():
        columns = _columns(named[name])
        result.records.extend(columns | row for row in read_scores(scored.folder))
    result.costs.extend(
        {**_cost(context, named[name], artifact), "maps": mapped.cost(tuple(reads[name]))}
        for name, artifact in artifacts.items()
    )
    return result


def _columns(baseline: Spec) -> dict[str, str]:
    """What result rows say of a baseline itself."""
    return {
        "method": baseline.name,
        "variant": baseline.variant,
        "supervision": baselines.get(baseline.name).supervision.value,
    }


def _reads(
    context: Context, named: Mapping[str, Spec], failures: dict[str, str]
) -> dict[str, dict[str, Chain]]:
    """Which maps each baseline reads, without those that failed or cannot even be made."""
    reads = {}
    for name, spec in named.items():
        try:
            with Kept(0).apart():
                baseline = build(spec, baselines)
            chains = chains_read(spec, baseline)
            for method, chain in chains.items():
                _require_as_weak(baseline, method, chain)
            reads[name] = chains
        except PLUGIN_FAULTS as error:
            failures[name] = require_own_fault(error, f"the baseline {name}", context.store.root)
    return reads


def _require_as_weak(baseline: Baseline, method: str, chain: Chain) -> None:
    """Refuse maps that saw more than the baseline says it sees."""
    seen = chain.supervision
    if not baseline.supervision.includes(seen):
        raise FirewallError(
            f"{baseline.name} declares supervision {baseline.supervision.value!r} and reads maps "
            f"of {method}, whose supervision is {seen.value!r}; declare that, or read other maps"
        )


def _maps(cell: Cell, reads: Mapping[str, Mapping[str, Chain]]) -> Mapped:
    """Maps that the baselines read, those that the run does not report included."""
    chains = {method: chain for some in reads.values() for method, chain in some.items()}
    return map_chains(cell, chains) if chains else Mapped({}, {})


def _require_maps(methods: Sequence[str], failures: Mapping[str, str]) -> None:
    for method in methods:
        if method in failures:
            raise CamzooError(f"the maps of {method}, which it reads, failed: {failures[method]}")


def _segment(cell: Cell, named: Spec, maps: Mapping[str, Artifact]) -> Artifact:
    """Train a baseline and segment the test volumes."""
    baseline = build(named, baselines)
    folders = {name: artifact.folder for name, artifact in maps.items()}

    def make(folder: Path) -> None:
        stages.SEGMENT.worker(folder, cell, baseline, folders)

    return cell.context.store.get(cell.requests.segment(named, baseline, maps), make)


def _cost(context: Context, baseline: Spec, artifact: Artifact) -> dict[str, Any]:
    """What a baseline took when it was made, and where its predictions are, below the run's out."""
    cost = read_cost(artifact.folder)
    place = (artifact.folder / PREDICTIONS).relative_to(context.store.root.parent)
    return {"method": line_of(baseline), **cost, "predictions": place.as_posix()}


def write_costs(folder: Path, cells: Sequence[tuple[Place, Segmented]]) -> tuple[str, ...]:
    """Keep what baselines took apart from the rows, which are equal between equal runs.

    Returns:
        The name of the file; nothing without baselines.
    """
    costs = [
        {"fold": place.fold, "seed": place.seed, **cost}
        for place, segmented in cells
        for cost in segmented.costs
    ]
    if not costs:
        (folder / COSTS).unlink(missing_ok=True)
        return ()
    write_text(folder / COSTS, json.dumps(costs, indent=1) + "\n")
    return (COSTS,)

"""The stage of baselines: let them learn, and segment the test volumes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from camzoo.config import BenchConfig
from camzoo.core.environment import describe
from camzoo.core.errors import CamzooError, FirewallError
from camzoo.core.files import write_text
from camzoo.core.randomness import seeded
from camzoo.core.spec import Spec, build
from camzoo.core.stored import read_json
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split
from camzoo.harness.baseline_inputs import BaselineCell
from camzoo.harness.cells import Cell
from camzoo.harness.chains import Mapped, chains_stage
from camzoo.harness.cost import CostMeter
from camzoo.harness.faults import PLUGIN_FAULTS, require_own_fault
from camzoo.harness.kept import Kept
from camzoo.harness.manifest import COSTS
from camzoo.harness.segmentation_scores import PREDICTIONS, PSEUDO_MASKS, segmentation_scores
from camzoo.harness.source import source_digest
from camzoo.harness.stages import Context, Trained
from camzoo.harness.store import Artifact, Key
from camzoo.harness.work import line_of, segment_work
from camzoo.metrics.curves import curve_records
from camzoo.metrics.sweep import threshold_sweep
from camzoo.metrics.threshold_choice import choose_threshold
from camzoo.registries import baselines
from camzoo.segment.base import Baseline, require_labels
from camzoo.segment.export import write_labels
from camzoo.segment.prediction import predict_volume
from camzoo.segment.selection import chains_read
from camzoo.steps.chain import Chain

#: Raised whenever the result changes for the same key.
VERSION: Final = 1
#: What stands between a baseline and its result: the choice of its threshold, and its volumes.
_AROUND: Final = (threshold_sweep, curve_records, choose_threshold, predict_volume, write_labels)
#: Settings of a run that change nothing of what a baseline learns in a cell; what the starting
#: weights are is in the key of the classifier.
_IRRELEVANT: Final[Any] = {
    "preset": True, "methods": True, "baselines": True, "seeds": True, "device": True,
    "threads": True, "plugins": True,
    "data": {"root", "folds", "limit"}, "backbone": {"weights"},
    "evaluation": {"protocols", "fixed"},
}  # fmt: skip

_COST: Final = TypeAdapter(dict[str, Any])


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


def segment_cell(
    context: Context, prepared: Prepared, split: Split, trained: Trained, seed: int
) -> Segmented:
    """Run all baselines of a cell; one that fails is left out, with the reason."""
    result = Segmented()
    reads = _reads(context, result.failures)
    mapped = _maps(context, prepared, split, trained, seed, reads)
    cell = BaselineCell(context, prepared, split, trained.classifier, mapped.artifacts, seed)
    named = context.baselines
    artifacts: dict[str, Artifact] = {}
    for name, chains in reads.items():
        try:
            _require_maps(tuple(chains), mapped.failures)
            with Kept(seed).apart():
                artifacts[name] = _segment_stage(cell, trained.artifact, named[name])
        except PLUGIN_FAULTS as error:
            who = f"the baseline {name}"
            result.failures[name] = require_own_fault(error, who, context.store.root)
    for name, rows in segmentation_scores(cell, artifacts).items():
        result.records.extend(_columns(named[name]) | row for row in rows)
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


def _reads(context: Context, failures: dict[str, str]) -> dict[str, dict[str, Chain]]:
    """Which maps each baseline reads; one that cannot even be made has failed."""
    reads = {}
    for name, spec in context.baselines.items():
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


def _maps(
    context: Context,
    prepared: Prepared,
    split: Split,
    trained: Trained,
    seed: int,
    reads: Mapping[str, Mapping[str, Chain]],
) -> Mapped:
    """Maps that the baselines read, those that the run does not report included."""
    chains = {method: chain for some in reads.values() for method, chain in some.items()}
    if not chains:
        return Mapped({}, {})
    return chains_stage(context, prepared, split, trained, seed, chains)


def _require_maps(methods: Sequence[str], failures: Mapping[str, str]) -> None:
    for method in methods:
        if method in failures:
            raise CamzooError(f"the maps of {method}, which it reads, failed: {failures[method]}")


def segment_key(
    config: BenchConfig,
    named: Spec,
    baseline: Baseline,
    split: Split,
    train: Artifact,
    maps: Mapping[str, Artifact],
    seed: int,
) -> Key:
    """What the predictions of a baseline in a cell depend on.

    Args:
        config: Of the run.
        named: The baseline as it is written.
        baseline: Constructed.
        split: Of the cell.
        train: The shared classifier.
        maps: By method, those that the baseline reads among them.
        seed: Of the cell.
    """
    return {
        "version": VERSION,
        "baseline": named.name,
        **({"settings": dict(named.settings)} if named.settings else {}),
        "code": [source_digest(written) for written in (type(baseline), *_AROUND)],
        "supervision": baseline.supervision.value,
        "train": train.digest,
        "maps": {name: maps[name].digest for name in baseline.reads},
        "val": split.val,
        "test": split.test,
        "config": config.model_dump(mode="json", exclude=_IRRELEVANT),
        "seed": seed,
    }


def _segment_stage(cell: BaselineCell, train: Artifact, named: Spec) -> Artifact:
    """Train a baseline and segment the test volumes."""
    context, split = cell.context, cell.split
    baseline = build(named, baselines)
    key = segment_key(context.config, named, baseline, split, train, cell.maps, cell.seed)

    def make(folder: Path) -> None:
        inside = folder / "baseline"
        resumed = inside.exists()
        inside.mkdir(exist_ok=True)
        with CostMeter(context.device) as fitting, seeded(cell.seed, context.device):
            baseline.fit(cell.inputs(baseline, inside))
        if baseline.pseudo is not None:
            require_labels(baseline.pseudo, cell.prepared.tagged(split.train))
            np.save(folder / PSEUDO_MASKS, baseline.pseudo)
        with CostMeter(context.device) as predicting:
            _predict(cell, baseline, folder / PREDICTIONS)
        cost = {
            "fit": fitting.record(),
            "predict": predicting.record(),
            "images_per_second": baseline.images_per_second,
            "resumed": resumed,
            "environment": describe(context.device),
        }
        write_text(folder / "cost.json", json.dumps(cost, indent=1) + "\n")

    slices = len(cell.prepared.tagged(split.train))
    return context.store.get(
        "segment",
        key,
        make,
        title=f"baseline {line_of(named)}, fold {split.fold}, seed {cell.seed}",
        work=segment_work(context.config, named, slices),
        resumable=True,
    )


def _predict(cell: BaselineCell, baseline: Baseline, folder: Path) -> None:
    """Write the labels of all test cases."""
    folder.mkdir(exist_ok=True)
    config, cases = cell.context.config.segmentation, cell.split.test
    with cell.context.reporter.stage(f"segmenting test volumes, {baseline.name}") as tick:
        for done, case in enumerate(cases):
            info, slices = cell.prepared.cases[case], cell.prepared.tagged([case])
            labels = predict_volume(
                baseline, slices.images(slice(None)), info,
                organs=len(slices.organs), batch=config.batch,
            )  # fmt: skip
            write_labels(folder / f"{case}.nii.gz", labels, np.array(info.affine))
            tick(done + 1, len(cases))


def _cost(context: Context, baseline: Spec, artifact: Artifact) -> dict[str, Any]:
    """What a baseline took when it was made, and where its predictions are, below the run's out."""
    cost = read_json(artifact.folder / "cost.json", _COST)
    place = (artifact.folder / PREDICTIONS).relative_to(context.store.root.parent)
    return {"method": line_of(baseline), **cost, "predictions": place.as_posix()}


def write_costs(folder: Path, cells: Sequence[tuple[Cell, Segmented]]) -> tuple[str, ...]:
    """Keep what baselines took apart from the rows, which are equal between equal runs.

    Returns:
        The name of the file; nothing without baselines.
    """
    costs = [
        {"fold": cell.fold, "seed": cell.seed, **cost}
        for cell, segmented in cells
        for cost in segmented.costs
    ]
    if not costs:
        (folder / COSTS).unlink(missing_ok=True)
        return ()
    write_text(folder / COSTS, json.dumps(costs, indent=1) + "\n")
    return (COSTS,)

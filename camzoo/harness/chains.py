"""From the maps of CAM methods to those of chains: every step is a stage of its own.

Chains that begin alike share their steps' results, as they share the classifier.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from camzoo.cams.map_files import MapFiles
from camzoo.config import BenchConfig
from camzoo.core.files import write_text
from camzoo.core.spec import Spec, all_settings
from camzoo.core.stored import read_json
from camzoo.data.slices import Prepared, labels_on_grid
from camzoo.data.splits import Split
from camzoo.harness.cost import CostMeter
from camzoo.harness.faults import PLUGIN_FAULTS, require_own_fault
from camzoo.harness.kept import Kept
from camzoo.harness.source import source_digest
from camzoo.harness.stages import Context, Trained, maps_stage
from camzoo.harness.store import Artifact, Key
from camzoo.harness.work import step_work
from camzoo.registries import steps
from camzoo.steps.base import MapStep, StepContext
from camzoo.steps.chain import Chain

VERSION = 3
_REPORT = "report.json"
_REPORTED = TypeAdapter(dict[str, Any])


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


def chains_stage(
    context: Context,
    prepared: Prepared,
    split: Split,
    trained: Trained,
    seed: int,
    chains: Mapping[str, Chain],
) -> Mapped:
    """Make the maps of chains, by their texts."""
    lost = {str(chain.head): fault for chain in chains.values() if (fault := chain.fault)}
    heads = tuple(dict.fromkeys(c.head for c in chains.values() if str(c.head) not in lost))
    plain = maps_stage(context, prepared, split, trained, seed, heads)
    unmapped = plain.failures | lost
    cell = _CellOfSteps(context, prepared, split, trained, seed)
    made: dict[str, tuple[Artifact, ...]] = {}
    failures: dict[str, str] = {}
    for text, chain in chains.items():
        head = str(chain.head)
        if head in unmapped:
            failures[text] = unmapped[head]
            continue
        try:
            with Kept(seed).apart():
                made[text] = cell.run(chain, plain.artifacts[head])
        except PLUGIN_FAULTS as error:
            failures[text] = require_own_fault(error, f"the method {text}", context.store.root)
    return Mapped(made, failures)


def step_key(
    config: BenchConfig,
    spec: Spec,
    step: MapStep,
    *,
    source: Artifact,
    base: Artifact,
    train: Artifact,
    seed: int,
) -> Key:
    """What the maps after a step of a chain depend on.

    Args:
        config: Of the run.
        spec: The step as it is written.
        step: The step, constructed.
        source: The maps that come in.
        base: Those of the method at the head.
        train: The classifier.
        seed: Of the cell.
    """
    return {
        "version": VERSION,
        "step": spec.name,
        "settings": all_settings(spec, steps),
        "code": source_digest(type(step)),
        "source": source.digest,
        "base": base.digest,
        "train": train.digest,
        "training": config.training.model_dump(mode="json"),
        "seed": seed,
    }


def read_report(folder: Path) -> dict[str, Any]:
    """What a step left beside its maps; nothing for a method without steps."""
    path = folder / _REPORT
    return read_json(path, _REPORTED) if path.exists() else {}


@dataclass(frozen=True)
class _CellOfSteps:
    """What the steps of one fold and seed share."""

    context: Context
    prepared: Prepared
    split: Split
    trained: Trained
    seed: int

    def run(self, chain: Chain, base: Artifact) -> tuple[Artifact, ...]:
        """Run the steps of a chain behind the maps ``base`` of its method: those, and all after."""
        made = [base]
        for spec, step in zip(chain.steps, chain.built, strict=True):
            made.append(self._step(chain, spec, step, base, made[-1]))
        return tuple(made)

    def _step(
        self, chain: Chain, spec: Spec, step: MapStep, base: Artifact, source: Artifact
    ) -> Artifact:
        key = step_key(
            self.context.config, spec, step,
            source=source, base=base, train=self.trained.artifact, seed=self.seed,
        )  # fmt: skip

        def make(folder: Path) -> None:
            resumed = any(folder.iterdir())
            came = MapFiles.open(source.folder)
            out = MapFiles.create(folder, *came.maps.shape[:3])
            view = self._view(chain, step, spec.name, base, folder)
            with CostMeter(self.context.device) as meter:
                report = step.apply(came, view, out)
            out.flush()
            told = {
                "notes": report.notes,
                "facts": dict(report.facts),
                "cost": {**meter.record(), "resumed": resumed},
            }
            write_text(folder / _REPORT, json.dumps(told, indent=1) + "\n")

        slices = len(self.prepared.tagged())
        return self.context.store.get(
            "steps",
            key,
            make,
            title=f"{spec.name} of {chain}, fold {self.split.fold}, seed {self.seed}",
            work=step_work(self.context.config, spec.name, slices),
            resumable=True,
        )

    def _view(
        self, chain: Chain, step: MapStep, name: str, base: Artifact, folder: Path
    ) -> StepContext:
        slices = self.prepared.tagged()
        return StepContext(
            slices=slices,
            train=np.flatnonzero(np.isin(slices.rows, self.prepared.tagged(self.split.train).rows)),
            method=chain.head,
            base=MapFiles.open(base.folder),
            classifier=self.trained.classifier,
            config=self.context.config,
            seed=self.seed,
            device=self.context.device,
            folder=folder,
            reporter=self.context.reporter,
            reference=self._reference(step, name),
        )

    def _reference(self, step: MapStep, name: str) -> Callable[[int], NDArray[np.uint8]]:
        def labels(side: int) -> NDArray[np.uint8]:
            train = set(self.split.train)
            cases = [case for case in self.prepared.cases if case in train]
            masks = self.prepared.vault.for_training(
                step.supervision, cases, who=f"the step {name!r}"
            )
            return labels_on_grid(masks, cases, side)

        return labels

"""What a run would do, which of it is in the store, and about how long the rest takes.

Keys follow from keys, so that a result can be looked up before those in front of it exist, down to
the first one that depends on a content: tags of slices, thresholds that were chosen. Behind that,
nothing can be in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from camzoo.config import BenchConfig
from camzoo.core.environment import choose_device, use_threads
from camzoo.core.progress import Quiet
from camzoo.core.spec import Spec, build
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split
from camzoo.evaluate.choose import choose
from camzoo.harness.cells import Cell, cells
from camzoo.harness.chains import step_key
from camzoo.harness.estimate import Estimate, Estimator
from camzoo.harness.plugins import load_plugins
from camzoo.harness.run import open_limited, require_names, require_network, splits_of
from camzoo.harness.segmentation import segment_key
from camzoo.harness.segmentation_scores import labels_key
from camzoo.harness.stages import (
    Context,
    curves_key,
    maps_keys,
    prepare_key,
    scores_keys,
    train_key,
)
from camzoo.harness.store import Artifact, Key, Store, Work
from camzoo.harness.work import (
    curves_work,
    labels_work,
    maps_work,
    prepare_work,
    scores_work,
    segment_work,
    step_work,
    train_work,
)
from camzoo.registries import baselines
from camzoo.segment.selection import chains_read
from camzoo.steps.chain import Chain

#: Of a stage that all cells share.
_ALL: Final = "all"


@dataclass(frozen=True)
class Step:
    """One result that a run needs.

    Attributes:
        cell: Fold and seed, or "all".
        stage: Of the store.
        name: Of the method or baseline; empty where there is only one.
        found: When it was made, where it is in the store; else None.
        estimate: Of making it; None where it is found.
    """

    cell: str
    stage: str
    name: str
    found: str | None
    estimate: Estimate | None


@dataclass(frozen=True)
class Plan:
    """All results that a run needs.

    Attributes:
        run: Its name.
        folder: Where its rows would be.
        steps: In the order of the run; what is used twice stands once.
        cases: Per subset, by fold.
        basis: Where estimates come from, a sentence each.
    """

    run: str
    folder: Path
    steps: tuple[Step, ...]
    cases: Mapping[int, Mapping[str, int]]
    basis: tuple[str, ...]

    @property
    def to_make(self) -> list[Step]:
        """Steps that are not in the store."""
        return [step for step in self.steps if step.found is None]

    @property
    def seconds(self) -> float:
        """Time of what can be estimated."""
        return sum(e.seconds or 0.0 for s in self.to_make if (e := s.estimate))

    @property
    def unknown(self) -> list[str]:
        """Names of what cannot be estimated."""
        steps = (s for s in self.to_make if s.estimate is None or s.estimate.seconds is None)
        return list(dict.fromkeys(s.name or s.stage for s in steps))

    @property
    def memory_mib(self) -> float | None:
        """Largest high-water mark of what can be estimated."""
        known = [e.memory_mib for s in self.to_make if (e := s.estimate) and e.memory_mib]
        return max(known, default=None)

    @property
    def cuda_mib(self) -> float | None:
        """Likewise on the CUDA device."""
        known = [e.cuda_mib for s in self.to_make if (e := s.estimate) and e.cuda_mib]
        return max(known, default=None)

    def record(self) -> dict[str, Any]:
        """The plan as JSON."""
        return {
            "run": self.run,
            "folder": str(self.folder),
            "cases": {str(fold): dict(counts) for fold, counts in self.cases.items()},
            "steps": [
                {
                    "cell": step.cell,
                    "stage": step.stage,
                    "name": step.name,
                    "found": step.found,
                    "seconds": step.estimate.seconds if step.estimate else None,
                    "memory_mib": step.estimate.memory_mib if step.estimate else None,
                    "basis": step.estimate.basis if step.estimate else None,
                }
                for step in self.steps
            ],
            "seconds": self.seconds,
            "not_estimated": self.unknown,
            "memory_mib": self.memory_mib,
            "cuda_mib": self.cuda_mib,
            "basis": list(self.basis),
        }


def plan_run(config: BenchConfig, out: Path) -> Plan:
    """Say what :func:`camzoo.harness.run.bench` would do; nothing is written or downloaded.

    Times are those of stored results of the same kind below ``out``, in proportion to the amount of
    work. Where there are none, one case is read and one step of each network is run, and their
    times are multiplied.

    Raises:
        CamzooError: As for the run itself.
    """
    load_plugins(config.plugins)
    with use_threads(config.threads):
        return _Planner(config, out).plan()


class _Planner:
    """Walks through a run as the run itself does, but looks results up only."""

    def __init__(self, config: BenchConfig, out: Path) -> None:
        device = choose_device(config.device)
        self._context = Context(config, Store(out / "store", device=device), device, Quiet())
        require_names(self._context)
        config, self._out = self._context.config, out
        self._config = config
        self._dataset = open_limited(config)
        self._splits = splits_of(config, self._dataset)
        require_network(_without_weights(config), self._dataset)
        prepared = self._context.store.find("prepare", prepare_key(config, self._dataset))
        self._prepared = Prepared(prepared.folder) if prepared.folder.exists() else None
        self._estimator = Estimator(self._context, self._dataset, self._prepared)
        self._steps: list[Step] = []
        self._seen: set[str] = set()

    def plan(self) -> Plan:
        work = prepare_work(self._config, len(self._dataset.cases()))
        self._look(_ALL, "prepare", "", prepare_key(self._config, self._dataset), work)
        for cell in cells(self._config):
            self._cell(cell, self._splits[cell.fold])
        cases = {
            fold: {"train": len(s.train), "val": len(s.val), "test": len(s.test)}
            for fold, s in self._splits.items()
        }
        return Plan(
            self._config.run,
            self._out / self._config.run,
            tuple(self._steps),
            cases,
            self._estimator.basis,
        )

    def _cell(self, cell: Cell, split: Split) -> None:
        config, title = self._config, f"fold {cell.fold}, seed {cell.seed}"
        key = None
        if self._prepared is not None:
            key = train_key(self._context, self._prepared, split, cell.seed)
        slices = self._estimator.slices
        organs = len(self._dataset.organs)
        work = train_work(config, self._share(split.train))
        train = self._look(title, "train", "", key, work)
        made = self._chains(title, self._context.chains, train, cell.seed)
        curves = {}
        for text, maps in made.items():
            key = curves_key(config, maps) if maps else None
            work = curves_work(config, slices, organs)
            curves[text] = self._look(title, "curves", text, key, work)
        self._scores(title, split, made, curves)
        self._baselines(title, split, train, cell.seed)

    def _chains(
        self, title: str, chains: Mapping[str, Chain], train: Artifact | None, seed: int
    ) -> dict[str, Artifact | None]:
        """The finished maps of chains, by chain."""
        config, slices = self._config, self._estimator.slices
        heads = list(dict.fromkeys(chain.head for chain in chains.values()))
        keys = maps_keys(config, train, heads) if train else {}
        mirrored = self._estimator.mirrored
        base = {
            head: self._look(
                title, "maps", head, keys.get(str(head)),
                maps_work(config, str(head), slices, mirrored=mirrored),
            )
            for head in heads
        }  # fmt: skip
        made: dict[str, Artifact | None] = {}
        for text, chain in chains.items():
            source = first = base[chain.head]
            for spec, step in zip(chain.steps, chain.built, strict=True):
                key = None
                if train and source and first:
                    key = step_key(
                        config, spec, step,
                        source=source, base=first, train=train, seed=seed,
                    )  # fmt: skip
                work = step_work(config, spec.name, slices)
                source = self._look(title, "steps", f"{spec.name} of {text}", key, work)
            made[text] = source
        return made

    def _scores(
        self,
        title: str,
        split: Split,
        made: Mapping[str, Artifact | None],
        curves: Mapping[str, Artifact | None],
    ) -> None:
        config = self._config
        organs = len(self._dataset.organs)
        rules, subsets = config.evaluation, split.subset_of()
        for text, maps in made.items():
            key, swept = None, curves[text]
            if maps and swept and swept.folder.exists():
                frame = pd.read_parquet(swept.folder / "curves.parquet")
                frame = frame.assign(subset=frame["case"].map(subsets))
                chosen = choose(frame, rules.protocols, rules.fixed)
                key = scores_keys({text: maps}, {text: chosen})[text]
            work = scores_work(config, self._estimator.slices, organs)
            self._look(title, "scores", text, key, work)

    def _baselines(self, title: str, split: Split, train: Artifact | None, seed: int) -> None:
        config = self._config
        for text, named in self._context.baselines.items():
            baseline = build(named, baselines)
            reads = self._chains(title, chains_read(named, baseline), train, seed)
            known = {name: maps for name, maps in reads.items() if maps}
            key = None
            if train and len(known) == len(reads):
                key = segment_key(config, named, baseline, split, train, known, seed)
            work = segment_work(config, named, self._share(split.train))
            predicted = self._look(title, "segment", text, key, work)
            work = labels_work(self._share(split.test), len(self._dataset.organs))
            key = labels_key(predicted) if predicted else None
            self._look(title, "segment-scores", text, key, work)

    def _look(
        self, cell: str, stage: str, name: str | Spec, key: Key | None, work: Work
    ) -> Artifact | None:
        """Put a result on the plan; return where it is or will be, None where that is open."""
        artifact = self._context.store.find(stage, key) if key is not None else None
        identity = artifact.digest if artifact else f"{cell} {stage} {name}"
        if identity not in self._seen:
            self._seen.add(identity)
            found = self._context.store.when(artifact) if artifact else None
            estimate = None if found else self._estimator.estimate(stage, work, name)
            self._steps.append(Step(cell, stage, str(name), found, estimate))
        return artifact

    def _share(self, cases: Sequence[str]) -> int:
        """Slices of some cases; of those not read yet, as many as their share."""
        if self._prepared is not None:
            return len(self._prepared.tagged(cases))
        everyone = max(1, len(self._dataset.cases()))
        return round(self._estimator.slices * len(cases) / everyone)


def _without_weights(config: BenchConfig) -> BenchConfig:
    """The same network without weights from the internet, which a plan does not fetch."""
    if config.backbone.weights != "imagenet":
        return config
    return config.model_copy(
        update={"backbone": config.backbone.model_copy(update={"weights": "none"})}
    )

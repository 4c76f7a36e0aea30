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

from camzoo.config import BenchConfig
from camzoo.core.environment import use_threads
from camzoo.core.progress import Quiet
from camzoo.core.spec import Spec, build
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split
from camzoo.evaluate.choose import Choices, choose
from camzoo.evaluate.result_files import read_curves
from camzoo.harness.context import Place, places
from camzoo.harness.estimate import Estimate, Estimator
from camzoo.harness.identity import beginning, identify
from camzoo.harness.opened import open_context, open_limited, require_network, splits_of
from camzoo.harness.requests import Amounts, Requests, ask_prepare, ask_train
from camzoo.harness.stage import Request
from camzoo.harness.store import Artifact
from camzoo.learning.augmentation import mirrored
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
        stage: Stage of the store.
        name: Name of the method or baseline; empty where there is only one.
        found: When it was made, where it is in the store; else None.
        estimate: Estimate of making it; None where it is found.
        digest: Its name in the store; None where that is not known yet.
        running: Whether a process is making it.
    """

    cell: str
    stage: str
    name: str
    found: str | None
    estimate: Estimate | None
    digest: str | None = None
    running: bool = False


@dataclass(frozen=True)
class Plan:
    """All results that a run needs.

    Attributes:
        run: Its name; "…" stands for the end that follows from the content of the data, where these
            have not been read yet.
        folder: Where its rows would be; None where its name is not known yet.
        out: Folder of runs.
        steps: Steps in the order of the run; what is used twice stands once.
        cases: Per subset, by fold.
        basis: Where estimates come from, a sentence each.
    """

    run: str
    folder: Path | None
    out: Path
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
            "folder": str(self.folder) if self.folder else None,
            "cases": {str(fold): dict(counts) for fold, counts in self.cases.items()},
            "steps": [
                {
                    "cell": step.cell,
                    "stage": step.stage,
                    "name": step.name,
                    "found": step.found,
                    "running": step.running,
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


def plan_run(config: BenchConfig, out: Path, *, measure: bool = True) -> Plan:
    """Say what :func:`camzoo.harness.run.bench` would do; nothing is written or downloaded.

    Times are those of stored results of the same kind below ``out``, in proportion to the amount of
    work. Where there are none, one case is read and one step of each network is run, and their
    times are multiplied.

    Args:
        config: Configuration of the run.
        out: Folder of runs.
        measure: Whether steps are run; without, what the store has no times of stays unknown, and
            the device of the run need not be here.

    Raises:
        CamzooError: As for the run itself.
    """
    with use_threads(config.threads):
        return _Planner(config, out, measure=measure).plan()


class _Planner:
    """Walks through a run as the run itself does, but looks results up only."""

    def __init__(self, config: BenchConfig, out: Path, *, measure: bool) -> None:
        self._context = open_context(config, out, Quiet(), computes=measure)
        config, self._out = self._context.config, out
        self._config = config
        self._dataset = open_limited(config)
        self._splits = splits_of(config, self._dataset)
        require_network(_without_weights(config), self._dataset)
        self._ask = ask_prepare(config, self._dataset)
        prepared = self._find(self._ask)
        there = prepared is not None and prepared.folder.exists()
        self._prepared = Prepared(prepared.folder) if prepared and there else None
        self._estimator = Estimator(self._context, self._dataset, self._prepared, measure=measure)
        self._steps: list[Step] = []
        self._seen: set[str] = set()

    def plan(self) -> Plan:
        self._look(_ALL, "", self._ask)
        for place in places(self._config):
            self._cell(place, self._splits[place.fold])
        cases = {
            fold: {"train": len(s.train), "val": len(s.val), "test": len(s.test)}
            for fold, s in self._splits.items()
        }
        run = self._run()
        return Plan(
            run or f"{beginning(self._config, self._dataset)}-…",
            self._out / run if run else None,
            self._out,
            tuple(self._steps),
            cases,
            self._estimator.basis,
        )

    def _run(self) -> str | None:
        """The name of the run, where it is known."""
        if self._prepared is None:
            return None
        return identify(self._config, self._dataset, self._prepared.index).run

    def _cell(self, place: Place, split: Split) -> None:
        amounts = Amounts(
            slices=self._estimator.slices,
            train=self._share(split.train),
            test=self._share(split.test),
            organs=len(self._dataset.organs),
            mirrored=mirrored(self._config.maps.flip, sided=self._dataset.sided),
        )
        title = str(place)
        ask = ask_train(self._context, self._prepared, split, place, amounts)
        asks = Requests(self._context, place, split, amounts, self._look(title, "", ask))
        made = self._chains(asks, self._context.chains)
        curves = {
            text: self._look(title, text, asks.curves(text, maps)) for text, maps in made.items()
        }
        for text, maps in made.items():
            self._look(title, text, asks.scores(maps, self._choices(split, curves[text])))
        for text, named in self._context.baselines.items():
            baseline = build(named, baselines)
            reads = self._chains(asks, chains_read(named, baseline))
            segmented = self._look(title, text, asks.segment(named, baseline, reads))
            self._look(title, text, asks.labels(segmented))

    def _chains(self, asks: Requests, chains: Mapping[str, Chain]) -> dict[str, Artifact | None]:
        """The finished maps of chains, by chain."""
        title = str(asks.place)
        heads = list(dict.fromkeys(chain.head for chain in chains.values()))
        base = {str(h): self._look(title, h, asks.maps([h])[str(h)]) for h in heads}
        made: dict[str, Artifact | None] = {}
        for text, chain in chains.items():
            source = first = base[str(chain.head)]
            for spec, step in zip(chain.steps, chain.built, strict=True):
                ask = asks.step(chain, spec, step, base=first, source=source)
                source = self._look(title, f"{spec.name} of {text}", ask)
            made[text] = source
        return made

    def _choices(self, split: Split, curves: Artifact | None) -> Choices | None:
        """The thresholds that will be chosen; None where there are no curves to choose from."""
        if curves is None or not curves.folder.exists():
            return None
        frame = read_curves(curves.folder)
        frame = frame.assign(subset=frame["case"].map(split.subset_of()))
        rules = self._config.evaluation
        return choose(frame, rules.protocols, rules.fixed)

    def _find(self, request: Request) -> Artifact | None:
        if request.key is None:
            return None
        return self._context.store.find(request.stage.name, request.key)

    def _look(self, cell: str, name: str | Spec, request: Request) -> Artifact | None:
        """Put a result on the plan; return where it is or will be, None where that is open."""
        artifact, stage = self._find(request), request.stage.name
        identity = artifact.digest if artifact else f"{cell} {stage} {name}"
        if identity not in self._seen:
            self._seen.add(identity)
            store, digest = self._context.store, artifact.digest if artifact else None
            found = store.when(artifact) if artifact else None
            running = not found and artifact is not None and store.is_being_made(artifact)
            estimate = None if found else self._estimator.estimate(stage, request.work, name)
            self._steps.append(Step(cell, stage, str(name), found, estimate, digest, running))
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

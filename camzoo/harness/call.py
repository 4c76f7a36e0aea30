"""``camzoo.bench``: the main job in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from camzoo.config import BenchConfig
from camzoo.core.errors import ConfigError
from camzoo.core.output import Output
from camzoo.core.progress import Reporter
from camzoo.harness.configure import configure, said
from camzoo.harness.executors.base import Executor
from camzoo.harness.executors.choose import choose_executor
from camzoo.harness.run import BenchResult
from camzoo.harness.run import bench as run_bench

#: One name, several in one text, or a list of them.
Names = str | Iterable[str]


def bench(
    config: BenchConfig | Path | str | None = None, out: Path | str = "runs",
    reporter: Reporter | None = None, *,
    dataset: str | None = None, preset: str | None = None, root: Path | str | None = None,
    methods: Names | None = None, baselines: Names | None = None, backbone: str | None = None,
    weights: Path | str | None = None, split: str | None = None, seeds: Sequence[int] | None = None,
    folds: Sequence[int] | None = None, limit: int | None = None, device: str | None = None,
    test_dataset: str | None = None, test_root: Path | str | None = None,
    options: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None,
    executor: str | Executor | None = None, workers: int | None = None, progress: bool = False,
) -> BenchResult:  # fmt: skip
    """Run a benchmark, or finish one that was interrupted.

    It starts from a configuration, or from a preset for a data set; all other words change that,
    and what is None stays as it is. Results of earlier runs that are in ``out`` are found there
    and not computed again.

    Args:
        config: All that the numbers depend on; or a manifest of an earlier run, or a TOML or YAML
            file of settings.
        out: Folder of runs. Results of stages are kept below it and shared by its runs.
        reporter: Who is told about progress.
        dataset: Registry name of the data set.
        preset: smoke, quick or paper; quick when left out.
        root: Folder with the data set.
        test_dataset: Another data set to test on; all of the first trains and validates.
        test_root: Folder with that one.
        methods: CAM methods, sets of them or patterns, as after ``--methods``; or a list.
        baselines: Likewise, as after ``--baselines``.
        backbone: Any timm model.
        weights: A file, "imagenet" or "none".
        split: "patient" or "paper-like".
        seeds: Seeds of training.
        folds: Folds of a cross-validated data set.
        limit: Most cases to take.
        device: "auto", "cpu", "cuda" or "cuda:N".
        options: Options of the data set, by name.
        settings: Any settings, by dotted name: {"training.epochs": 3}; the last word.
        executor: Who computes where several do, as after ``--executor``; or an executor.
        workers: Parts of the run that are computed at once.
        progress: Print how far it is, where no reporter is given.

    Raises:
        CamzooError: Something the user can mend; nothing half-written is left.
    """
    given = {
        "data.root": root, "methods": methods, "baselines": baselines, "backbone.name": backbone,
        "backbone.weights": weights, "data.split": split, "seeds": seeds, "data.folds": folds,
        "data.limit": limit, "device": device, "data.test": test_dataset,
        "data.test_root": test_root,
    }  # fmt: skip
    start = Path(config) if isinstance(config, str) else config
    changes = said(given, options or {}, settings or {})
    chosen = configure(dataset, preset, start, changes)
    with Output().reporting() if progress and reporter is None else nullcontext(reporter) as told:
        return run_bench(chosen, Path(out), told, _performing(executor, workers))


def _performing(executor: str | Executor | None, workers: int | None) -> Executor | None:
    if executor is None or isinstance(executor, str):
        return choose_executor(executor, workers)
    if workers is not None:
        raise ConfigError("an executor has its workers already: leave workers out")
    return executor

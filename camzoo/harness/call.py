"""A run from the few words that a user says, in Python as on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from camzoo.cams.selection import select_methods
from camzoo.config import BenchConfig
from camzoo.errors import ConfigError
from camzoo.harness.run import BenchResult
from camzoo.harness.run import bench as run_bench
from camzoo.presets import preset as named_preset
from camzoo.progress import Reporter
from camzoo.segment.selection import select_baselines

#: One name, several in one text, or a list of them.
Names = str | Iterable[str]


def configure(
    start: BenchConfig | None = None,
    *,
    dataset: str | None = None,
    preset: str | None = None,
    root: Path | str | None = None,
    methods: Names | None = None,
    baselines: Names | None = None,
    backbone: str | None = None,
    weights: Path | str | None = None,
    split: str | None = None,
    seeds: Sequence[int] | None = None,
    folds: Sequence[int] | None = None,
    device: str | None = None,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> BenchConfig:
    """Return a configuration: a preset for a data set, or that of an earlier run, and changes.

    What is None stays as it is.

    Args:
        start: Configuration to start from, in the place of ``dataset`` and ``preset``.
        dataset: Registry name of the data set.
        preset: smoke, quick or paper; quick when left out.
        root: Folder with the data set.
        methods: CAM methods, sets of them or patterns, as after ``--methods``; or a list.
        baselines: Likewise, as after ``--baselines``.
        backbone: Any timm model.
        weights: A file, "imagenet" or "none".
        split: "patient" or "paper-like".
        seeds: Of training.
        folds: Of a cross-validated data set.
        device: "auto", "cpu", "cuda" or "cuda:N".
        options: Of the data set, by name.
        settings: Any settings, by dotted name: {"training.epochs": 3}.

    Raises:
        ConfigError: Neither or both of ``start`` and ``dataset`` are given, or a name, a setting or
            a value is unknown; the message says what is there.
    """
    if (start is None) == (dataset is None):
        raise ConfigError("a run starts from a data set or from a configuration: give one of them")
    if start is not None and preset is not None:
        raise ConfigError("a configuration says all that a preset would: leave the preset out")
    given = {
        "data.root": root,
        "methods": None if methods is None else select_methods(_joined(methods)),
        "baselines": None if baselines is None else select_baselines(_joined(baselines)),
        "backbone.name": backbone,
        "backbone.weights": weights,
        "data.split": split,
        "seeds": seeds,
        "data.folds": folds,
        "device": device,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    options = options or {}
    changes |= {f"data.options.{key}": value for key, value in options.items()}
    changes |= settings or {}
    if start is None:
        start = named_preset(preset or "quick", str(dataset), str(options.get("variant", "")))
    return start.changed(changes)


def bench(
    config: BenchConfig | None = None,
    out: Path | str = "runs",
    reporter: Reporter | None = None,
    *,
    dataset: str | None = None,
    preset: str | None = None,
    root: Path | str | None = None,
    methods: Names | None = None,
    baselines: Names | None = None,
    backbone: str | None = None,
    weights: Path | str | None = None,
    split: str | None = None,
    seeds: Sequence[int] | None = None,
    folds: Sequence[int] | None = None,
    device: str | None = None,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> BenchResult:
    """Run a benchmark, or finish one that was interrupted.

    Either of a configuration or of a data set by name; all other words are those of
    :func:`configure` and change what they start from. The same words find results of earlier runs
    in ``out`` and do not compute them again.

    Args:
        config: All that the numbers depend on.
        out: Folder of runs. Results of stages are kept below it and shared by its runs.
        reporter: Who is told about progress, such as ``ConsoleReporter()``.
        dataset: See :func:`configure`, as for all that follow.
        preset: Likewise.
        root: Likewise.
        methods: Likewise.
        baselines: Likewise.
        backbone: Likewise.
        weights: Likewise.
        split: Likewise.
        seeds: Likewise.
        folds: Likewise.
        device: Likewise.
        options: Likewise.
        settings: Likewise.

    Raises:
        CamzooError: Something the user can mend; nothing half-written is left.

    Example:
        >>> import camzoo
        >>> result = camzoo.bench(
        ...     dataset="phantom", preset="smoke", methods=["cam", "centre"]
        ... )  # doctest: +SKIP
        >>> result.rows.groupby("method")["dsc"].mean()  # doctest: +SKIP
    """
    chosen = configure(
        config,
        dataset=dataset,
        preset=preset,
        root=root,
        methods=methods,
        baselines=baselines,
        backbone=backbone,
        weights=weights,
        split=split,
        seeds=seeds,
        folds=folds,
        device=device,
        options=options,
        settings=settings,
    )
    return run_bench(chosen, Path(out), reporter)


def _joined(names: Names) -> str:
    return names if isinstance(names, str) else ",".join(names)

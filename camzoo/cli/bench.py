"""``camzoo bench``: the main job, its plan, and what is said of both."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from camzoo.cli import bench_arguments as arguments
from camzoo.cli.ending import StopError
from camzoo.core.errors import ConfigError
from camzoo.core.output import AsJson, BeQuiet, BeVerbose, Output
from camzoo.core.portable import compute_portably
from camzoo.core.spec import parse_pairs
from camzoo.harness.configure import configure, said
from camzoo.harness.executors.choose import choose_executor

if TYPE_CHECKING:
    from camzoo.config import BenchConfig
    from camzoo.core.progress import Reporter
    from camzoo.harness.executors.base import Executor
    from camzoo.harness.plan import Plan, Step
    from camzoo.harness.run import BenchResult

#: How people call the stages of the store.
_WORDS: Final = {
    "prepare": "slices and tags",
    "train": "classifier",
    "curves": "threshold sweep",
    "scores": "distances",
    "segment": "baseline",
    "segment-scores": "scores of baselines",
}
GO_ON: Final = "what is finished is kept, and the same command goes on from there"


def bench(
    dataset: arguments.DataSet = None,
    root: arguments.Root = None,
    test_dataset: arguments.TestDataSet = None,
    test_root: arguments.TestRoot = None,
    preset: arguments.Preset = None,
    again: arguments.Again = None,
    methods: arguments.Methods = None,
    baselines: arguments.Baselines = None,
    backbone: arguments.Backbone = None,
    weights: arguments.Weights = None,
    split: arguments.Split = None,
    seeds: arguments.Seeds = None,
    folds: arguments.Folds = None,
    limit: arguments.Limit = None,
    device: arguments.Device = None,
    option: arguments.Pairs = None,
    set_: arguments.Settings = None,
    out: arguments.Runs = Path("runs"),
    report: arguments.Report = None,
    executor: arguments.ExecutorName = None,
    workers: arguments.Workers = None,
    address: arguments.Address = None,
    portable: arguments.Portable = False,
    plan: arguments.OnlyPlan = False,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
    verbose: BeVerbose = False,
) -> None:
    """Run the benchmark, or finish a run that was interrupted."""
    if portable:
        compute_portably()
    output = Output(as_json, quiet, verbose)
    given = {
        "methods": methods, "baselines": baselines, "device": device, "data.root": root,
        "data.split": split, "data.limit": limit, "backbone.name": backbone,
        "backbone.weights": weights, "seeds": _numbers("seeds", seeds),
        "data.folds": _numbers("folds", folds), "data.test": test_dataset,
        "data.test_root": test_root,
    }  # fmt: skip
    settings = parse_pairs("--set", set_, lists=_may_be_list)
    changes = said(given, parse_pairs("--option", option), settings)
    with output.apart():
        config = configure(dataset, preset, again, changes)
    _require_words(config)
    if plan:
        _plan(config, out, output)
        return
    performing = choose_executor(executor, workers, address)
    if report is not None:
        from camzoo.report.folder import require_replaceable

        require_replaceable(report)
    try:
        _run(config, out, report, output, performing)
    except StopError as stop:
        stop.advice = GO_ON
        raise


def _require_words(config: BenchConfig) -> None:
    """Check words with what is imported in a moment; what takes seconds comes behind that."""
    from camzoo.data.opening import require_dataset
    from camzoo.network.timm_names import require_model

    require_dataset(config.data.name, config.data.options)
    require_model(config.backbone.name)


def _may_be_list(key: str) -> bool:
    """Whether commas in the value of a setting separate: options of data sets may be patterns."""
    return not key.startswith(("data.options.", "backbone.arguments."))


def _numbers(name: str, text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--{name} takes numbers separated by commas, got {text!r}") from error


def _run(
    config: BenchConfig,
    out: Path,
    report: Path | None,
    output: Output,
    executor: Executor | None,
) -> None:
    from camzoo.core.allocator import keep_freed_memory
    from camzoo.harness.run import bench as run_bench

    keep_freed_memory()
    with output.reporting() as reporter:
        result = run_bench(config, out, reporter, executor)
        places = publish(result, reporter)
        if report is not None:
            places["report"] = _write_report(result, report, reporter)
    if output.as_json:
        output.document(_document(result, places))
        return
    _tell(result, places, output)


def publish(result: BenchResult, reporter: Reporter) -> dict[str, Path]:
    """Write what people look at into the folder of a run; return where it is, with the rows."""
    from camzoo.core.files import storing
    from camzoo.report.gallery import write_gallery
    from camzoo.report.leaderboards import write_page

    picture = result.folder / "gallery.png"
    with storing(result.folder), reporter.stage("tables and pictures"):
        page = write_page(result.folder)
        write_gallery(result, picture)
    return {"leaderboard": page, "picture": picture, "rows": result.folder}


def _write_report(result: BenchResult, folder: Path, reporter: Reporter) -> Path:
    """Write the page to look through into a folder of its own; return the page."""
    from camzoo.core.files import storing
    from camzoo.report.folder import write_report

    with storing(folder), reporter.stage("report"):
        return write_report([result.folder], folder)


def _tell(result: BenchResult, places: Mapping[str, Path], output: Output) -> None:
    from camzoo.report.terminal import summary

    if not output.quiet:
        output.show(*summary(result.rows))
    for name, why in result.failures.items():
        output.tell(f"{name} failed: {why}", style="red")
    output.say(f"made: {_counted(result.made)}; found in the store: {_counted(result.found)}")
    if output.quiet:
        output.tell(str(result.folder))
        return
    for name, place in places.items():
        output.tell(f"{name}: {place}")
    if "report" not in places:
        folder = shlex.quote(str(result.folder))
        output.tell(f"to look through it: camzoo report {folder} --out {folder}-report")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word(stage)} ({count})" for stage, count in counts.items()) or "nothing"


def word(stage: str) -> str:
    """How people call a stage."""
    return _WORDS.get(stage, stage)


def _document(result: BenchResult, places: Mapping[str, Path]) -> dict[str, Any]:
    from camzoo.report.numbers import numbers

    return {
        "run": result.folder.name,
        "results": numbers(result.rows),
        "failures": dict(result.failures),
        "made": dict(result.made),
        "found": dict(result.found),
        "files": {name: str(place) for name, place in places.items()},
    }


def _plan(config: BenchConfig, out: Path, output: Output) -> None:
    from camzoo.harness.plan import plan_run

    with output.apart():
        plan = plan_run(config, out)
    output.document(plan.record() | {"config": config.without_places()})
    for line in _plan_lines(plan, plan.steps if output.verbose else ()):
        output.tell(line)


def _plan_lines(plan: Plan, each: Sequence[Step]) -> Iterator[str]:
    from camzoo.core.progress import duration

    yield _named(plan)
    for fold, counts in plan.cases.items():
        subsets = ", ".join(f"{count} {name}" for name, count in counts.items())
        yield f"fold {fold}: cases {subsets}"
    for cell in dict.fromkeys(step.cell for step in plan.steps):
        yield f"cell {cell}:" if cell != "all" else "shared by all cells:"
        mine = [step for step in plan.steps if step.cell == cell]
        for stage in dict.fromkeys(step.stage for step in mine):
            yield f"  {word(stage)}: {_stage_text([s for s in mine if s.stage == stage])}"
    for step in each:
        open_ = "being made" if step.running else "to make"
        yield f"{step.cell}, {word(step.stage)} {step.name}: {step.found or open_}"
    yield f"in the store: {len(plan.steps) - len(plan.to_make)} of {len(plan.steps)} results"
    unknown = f", and what these take: {', '.join(plan.unknown)}" if plan.unknown else ""
    if not plan.to_make:
        yield "nothing to make but tables and pictures"
        return
    yield f"time: about {duration(plan.seconds)}{unknown}"
    if plan.memory_mib:
        yield f"memory: about {plan.memory_mib / 1024:.1f} GiB at the peak"
    if plan.cuda_mib:
        yield f"memory of the GPU: about {plan.cuda_mib / 1024:.1f} GiB at the peak"
    yield from (f"  {sentence}" for sentence in plan.basis)


def _named(plan: Plan) -> str:
    """Which run it is, as far as that is known before the data are read."""
    if plan.folder:
        return f"run {plan.run}, to be written to {plan.folder}"
    return (
        f"run {plan.run}, to be written below {plan.out}; its name ends with a hash of the data, "
        "which have not been read yet"
    )


def _stage_text(steps: Sequence[Step]) -> str:
    """Which results of a stage are there, and which are to be made, in how long."""
    from camzoo.core.progress import duration

    there = [step for step in steps if step.found]
    missing = [step for step in steps if not step.found]
    parts = []
    if there:
        names = ", ".join(step.name for step in there if step.name)
        when = max(str(step.found) for step in there)[:16].replace("T", " ")
        parts.append(f"found {names} (made {when})".replace("  ", " "))
    if missing:
        names = ", ".join(step.name for step in missing if step.name)
        known = [e.seconds for s in missing if (e := s.estimate) and e.seconds is not None]
        least = "about" if len(known) == len(missing) else "at least"
        time = f"{least} {duration(sum(known))}" if known else "time not known"
        parts.append(f"to make {names}: {time}".replace(" :", ":"))
    return "; ".join(parts)

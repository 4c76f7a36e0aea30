"""The command line: parse, call, print."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camzoo import __version__, cli_complete
from camzoo.cli_data import data_app
from camzoo.cli_score import score
from camzoo.cli_zoo import check, layers, list_
from camzoo.console import make_console
from camzoo.errors import CamzooError, ConfigError
from camzoo.pairs import parse_pairs

if TYPE_CHECKING:
    from camzoo.config import BenchConfig

app = typer.Typer(
    name="camzoo",
    help="Which class activation map gives the best masks, by how much, and can it be believed?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.command(name="list")(list_)
app.command()(layers)
app.command()(check)
app.command()(score)
console = make_console()


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"camzoo {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take what stands in front of a command."""


@app.command()
def bench(
    dataset: Annotated[
        str | None,
        typer.Option(
            help="promri, acdc, chaos, nnunet, phantom, …", autocompletion=cli_complete.data_set
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder with the data set.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="smoke, quick or paper. Without: quick.", autocompletion=cli_complete.preset
        ),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(
            "--config", help="manifest.json of an earlier run, instead of data set and preset."
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="CAM methods, comma-separated, or all. Without: cam.",
            autocompletion=cli_complete.methods,
        ),
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            help="Baselines that end in a U-Net, comma-separated, all or none. Without: none.",
            autocompletion=cli_complete.baselines,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Any timm model.", autocompletion=cli_complete.backbone),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="A .safetensors or .pth file, imagenet, or none.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="patient or paper-like.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Of training, comma-separated.")] = None,
    folds: Annotated[str | None, typer.Option(help="Of a cross-validated data set.")] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Without: auto.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE option of the data set; repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="SETTING=VALUE, as training.epochs=3.",
            autocompletion=cli_complete.setting,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
) -> None:
    """Run the benchmark, or finish a run that was interrupted."""
    # Words are checked with what is imported in a moment; what takes seconds comes behind that.
    from camzoo.cams.selection import select_methods
    from camzoo.data.opening import require_dataset
    from camzoo.segment.selection import select_baselines
    from camzoo.timm_names import require_model

    given = {
        "methods": None if methods is None else select_methods(methods),
        "baselines": None if baselines is None else select_baselines(baselines),
        "device": device,
        "data.root": root,
        "data.split": split,
        "backbone.name": backbone,
        "backbone.weights": weights,
        "seeds": _numbers("seeds", seeds),
        "data.folds": _numbers("folds", folds),
    }
    changes = {key: value for key, value in given.items() if value is not None}
    options = parse_pairs("--option", option)
    changes |= {f"data.options.{key}": value for key, value in options.items()}
    changes |= parse_pairs("--set", set_)
    config = _start(dataset, preset, again, str(options.get("variant", ""))).changed(changes)
    require_dataset(config.data.name, config.data.options)
    require_model(config.backbone.name)

    from camzoo.allocator import keep_freed_memory
    from camzoo.harness.run import bench as run_bench
    from camzoo.progress import ConsoleReporter
    from camzoo.report.gallery import write_gallery
    from camzoo.report.leaderboards import write_page
    from camzoo.report.terminal import summary

    keep_freed_memory()
    result = run_bench(config, out, ConsoleReporter(console))
    console.print(*summary(result.rows), sep="\n")
    for name, why in result.failures.items():
        console.print(f"{name} failed: {why}", style="red", markup=False)
    page, picture = write_page(result.folder), result.folder / "gallery.png"
    write_gallery(result, picture)
    for name, place in {"leaderboard": page, "picture": picture, "rows": result.folder}.items():
        console.print(f"{name}: {place}", highlight=False)


@app.command()
def leaderboard(
    runs: Annotated[list[Path] | None, typer.Argument(help="Run folders to take in.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of leaderboards.")] = Path("leaderboards"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a page is out of date.")
    ] = False,
) -> None:
    """Write leaderboards from the rows of runs, beside those that are there."""
    from camzoo.report.leaderboards import check_leaderboards, take_in, write_leaderboards

    if check:
        check_leaderboards(out)
        console.print(f"{out}: every page agrees with its rows", highlight=False)
        return
    for run in runs or []:
        take_in(run, out)
    for page in write_leaderboards(out):
        console.print(str(page), highlight=False)


@app.command()
def doctor() -> None:
    """Say what camzoo finds on this machine, and what is missing."""
    from camzoo.doctor import examine

    if not examine(console):
        raise typer.Exit(1)


def _start(
    dataset: str | None, preset: str | None, again: Path | None, variant: str
) -> BenchConfig:
    """Settings to start from: of a preset for a data set, or of an earlier run."""
    from camzoo.config import read_config
    from camzoo.presets import preset as named_preset

    if (dataset is None) == (again is None):
        raise ConfigError("camzoo bench takes either --dataset or --config, the file of a run")
    if again is not None and preset is not None:
        raise ConfigError("--config says all that a preset would: leave --preset out")
    return read_config(again) if again else named_preset(preset or "quick", str(dataset), variant)


def _numbers(name: str, text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--{name} takes numbers separated by commas, got {text!r}") from error


def _print_whatever_the_locale() -> None:
    """Write what an encoding such as ASCII has no letter for as an escape, and do not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Entry point: faults that the user can mend end with exit code 2 and no traceback."""
    _print_whatever_the_locale()
    try:
        app(prog_name="camzoo")
    except CamzooError as error:
        make_console(stderr=True).print(
            f"camzoo: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(2)

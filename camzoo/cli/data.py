"""``camzoo data``: look at data sets before spending hours on them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from camzoo.cli import complete as cli_complete
from camzoo.core.choices import parse_choice
from camzoo.core.output import AsJson, BeQuiet, Output
from camzoo.core.spec import parse_pairs

if TYPE_CHECKING:
    from collections import Counter

    from camzoo.data.datasets import Dataset
    from camzoo.data.stats import DatasetStats

data_app = typer.Typer(help="Check, describe or download a data set.", no_args_is_help=True)

#: Longest table of grid sizes or spacings.
_MOST_ROWS: Final = 8

Name = Annotated[
    str,
    typer.Argument(
        help="promri, acdc, chaos, nnunet, phantom, …", autocompletion=cli_complete.data_set
    ),
]
Root = Annotated[Path | None, typer.Option(help="Folder with the data set.")]
Slices = Annotated[
    str,
    typer.Option(help="Plane of the slices: acquired (across the thick axis of a scan) or axial."),
]
Options = Annotated[
    list[str] | None, typer.Option("--option", help="KEY=VALUE option of the data set; repeatable.")
]


@data_app.command()
def check(
    name: Name,
    root: Root = None,
    option: Options = None,
    slices: Slices = "acquired",
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Read every case and list everything that is wrong; exit code 2 if anything is."""
    output = Output(as_json, quiet)
    choice = parse_choice("--slices", slices)
    dataset = _open(name, root, option)  # before what takes seconds to import

    from camzoo.data.check import check_dataset

    with output.reporting() as reporter, reporter.stage("check") as tick:
        report = check_dataset(dataset, tick, choice)
    output.document(
        {
            "tried": report.tried,
            "faults": [asdict(fault) for fault in report.faults],
            "slices": report.planes,
            "notes": report.remarks,
        }
    )
    for fault in report.faults:
        output.tell(f"fault: {fault.message}")
    if report.planes:
        output.say(f"slices: {report.planes}")
    for remark in report.remarks:
        output.say(f"note: {remark}")
    bad = len({case for fault in report.faults for case in fault.cases})
    output.tell(
        f"{report.tried} cases tried, {bad} with faults, {len(report.faults)} faults in all"
    )
    if report.faults:
        raise typer.Exit(2)


@data_app.command()
def stats(
    name: Name,
    root: Root = None,
    option: Options = None,
    slices: Slices = "acquired",
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Print sizes, spacings, positive slices and organ volumes."""
    output = Output(as_json, quiet)
    choice = parse_choice("--slices", slices)
    dataset = _open(name, root, option)  # before what takes seconds to import

    from camzoo.data.stats import dataset_stats, remarks

    with output.reporting() as reporter, reporter.stage("read") as tick:
        found = dataset_stats(dataset, tick, choice)
    notes = [*dataset.facts.caveats, *remarks(found.cases)]
    output.document(
        {
            "title": dataset.facts.title,
            "patients": found.patients,
            "slices": found.slices,
            "cut": found.planes,
            "organs": [asdict(organ) for organ in found.by_organ()],
            "cases": [asdict(case) for case in found.cases],
            "notes": notes,
        }
    )
    output.tell(
        f"{dataset.facts.title}: {len(found.cases)} cases of {found.patients} patients, "
        f"{found.slices} slices"
    )
    output.tell(f"slices: {found.planes}")
    output.show(
        _organ_table(found),
        _count_table("grid (z, y, x)", found.shapes()),
        _count_table("spacing (z, y, x) in mm", found.spacings()),
    )
    for remark in notes:
        output.say(f"note: {remark}")


@data_app.command()
def fetch(
    name: Name,
    root: Annotated[Path, typer.Option(help="Folder to put the data set in.")],
    base_url: Annotated[
        str | None, typer.Option(help="Mirror of https://zenodo.org/records.")
    ] = None,
    quiet: BeQuiet = False,
) -> None:
    """Download what may be downloaded, and say how to get the rest."""
    from camzoo.registries import datasets

    datasets.require(name)

    from camzoo.data.fetch import fetch as fetch_dataset

    with Output(quiet=quiet).reporting() as reporter:
        fetch_dataset(name, root, base_url=base_url, reporter=reporter)


def _open(name: str, root: Path | None, pairs: list[str] | None) -> Dataset:
    from camzoo.data.opening import open_dataset

    return open_dataset(name, root, parse_pairs("--option", pairs))


def _organ_table(found: DatasetStats) -> Table:
    table = Table("organ", "positive slices", "of all", "median ml", "range ml")
    for organ in found.by_organ():
        table.add_row(
            organ.organ,
            str(organ.positive_slices),
            f"{organ.positive_slices / found.slices:.1%}",
            f"{organ.median_ml:.1f}",
            f"{organ.low_ml:.1f} to {organ.high_ml:.1f}",
        )
    return table


def _count_table(title: str, counts: Counter[tuple[Any, ...]]) -> Table:
    """The values most cases share, first."""
    table = Table(title, "cases")
    for value, count in counts.most_common(_MOST_ROWS):
        table.add_row(" x ".join(f"{part:g}" for part in value), str(count))
    if len(counts) > _MOST_ROWS:
        rest = counts.total() - sum(count for _, count in counts.most_common(_MOST_ROWS))
        table.add_row(f"{len(counts) - _MOST_ROWS} others", str(rest))
    return table

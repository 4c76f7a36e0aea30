"""``camzoo data``: look at data sets before spending hours on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from camzoo import cli_complete
from camzoo.console import make_console
from camzoo.pairs import parse_pairs

if TYPE_CHECKING:
    from collections import Counter

    from camzoo.data.datasets import Dataset
    from camzoo.data.stats import DatasetStats

data_app = typer.Typer(help="Check, describe or download a data set.", no_args_is_help=True)
console = make_console()

#: Longest table of grid sizes or spacings.
_MOST_ROWS: Final = 8

Name = Annotated[
    str,
    typer.Argument(
        help="promri, acdc, chaos, nnunet, phantom, …", autocompletion=cli_complete.data_set
    ),
]
Root = Annotated[Path | None, typer.Option(help="Folder with the data set.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", help="KEY=VALUE option of the data set; repeatable.")
]


@data_app.command()
def check(name: Name, root: Root = None, option: Options = None) -> None:
    """Read every case and list everything that is wrong; exit code 2 if anything is."""
    dataset = _open(name, root, option)  # before what takes seconds to import

    from camzoo.data.check import check_dataset
    from camzoo.progress import ConsoleReporter

    with ConsoleReporter(console).stage("check") as tick:
        report = check_dataset(dataset, tick)
    for fault in report.faults:
        _say(f"fault: {fault.message}")
    for remark in report.remarks:
        _say(f"note: {remark}")
    bad = len({case for fault in report.faults for case in fault.cases})
    _say(f"{report.tried} cases tried, {bad} with faults, {len(report.faults)} faults in all")
    if report.faults:
        raise typer.Exit(2)


@data_app.command()
def stats(name: Name, root: Root = None, option: Options = None) -> None:
    """Print sizes, spacings, positive slices and organ volumes."""
    dataset = _open(name, root, option)

    from camzoo.data.stats import dataset_stats, remarks
    from camzoo.progress import ConsoleReporter

    with ConsoleReporter(console).stage("read") as tick:
        found = dataset_stats(dataset, tick)
    _say(
        f"{dataset.facts.title}: {len(found.cases)} cases of {found.patients} patients, "
        f"{found.slices} slices"
    )
    console.print(_organ_table(found))
    console.print(_count_table("grid (z, y, x)", found.shapes()))
    console.print(_count_table("spacing (z, y, x) in mm", found.spacings()))
    for remark in [*dataset.facts.caveats, *remarks(found.cases)]:
        _say(f"note: {remark}")


@data_app.command()
def fetch(
    name: Name,
    root: Annotated[Path, typer.Option(help="Folder to put the data set in.")],
    base_url: Annotated[
        str | None, typer.Option(help="Mirror of https://zenodo.org/records.")
    ] = None,
) -> None:
    """Download what may be downloaded, and say how to get the rest."""
    from camzoo.zoo import datasets

    datasets.require(name)

    from camzoo.data.fetch import fetch as fetch_dataset
    from camzoo.progress import ConsoleReporter

    fetch_dataset(name, root, base_url=base_url, reporter=ConsoleReporter(console))


def _open(name: str, root: Path | None, pairs: list[str] | None) -> Dataset:
    from camzoo.data.opening import open_dataset

    return open_dataset(name, root, parse_pairs("--option", pairs))


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


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

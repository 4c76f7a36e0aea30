"""The folder of a report: a page, and beside it the same runs in whatever form was asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Final

from camzoo.core.errors import ConfigError
from camzoo.core.files import replace_folder
from camzoo.core.text import plain
from camzoo.report.html.pages import MARK, PAGE, write_page
from camzoo.report.opened_runs import OpenedRun, open_runs

#: Goes with scans of real patients, and with what was made of them.
TERMS: Final = "DATA-LICENCE.txt"


class Export(StrEnum):
    """A form in which runs leave beside the page; its value is the folder of its files."""

    CSV = "csv"
    LATEX = "latex"
    FIGURES = "figures"
    NIFTI = "nifti"


#: Module and function that fill the folder of an export with runs, given how many cases of each. An
#: export that nobody asked for is not imported: matplotlib and torch take more than a page does.
_WRITERS: Final = {
    Export.CSV: ("csv_files", "write_csv"),
    Export.LATEX: ("latex", "write_latex"),
    Export.FIGURES: ("figures.files", "write_figures"),
    Export.NIFTI: ("nifti", "write_nifti"),
}


def write_report(
    runs: Sequence[Path],
    out: Path,
    *,
    exports: Collection[Export] = (),
    include_images: bool = False,
    cases: int = 12,
) -> Path:
    """Write the report of finished runs into the folder ``out``, in the place of an earlier one.

    Args:
        runs: Folders of runs.
        out: Made where it is missing.
        exports: What is wanted beside the page.
        include_images: Whether scans of real patients, and maps of them, may go into it.
        cases: How many test cases of each run it shows and exports; folds share them.

    Returns:
        The page.

    Raises:
        ConfigError: A folder holds no finished run, two are one run, ``out`` holds anything but
            a report, or maps are asked for that cannot be had.
        DataError: A file is damaged.
    """
    out = out.resolve()
    require_replaceable(out)
    opened = open_runs(runs, include_images=include_images)
    with replace_folder(out) as partial:
        for export in sorted(exports):
            (partial / export).mkdir()
            module, name = _WRITERS[export]
            getattr(import_module(f"camzoo.report.{module}"), name)(opened, partial / export, cases)
        if any(run.shows_patients for run in opened):
            (partial / TERMS).write_text(_terms(opened), encoding="utf-8")
        write_page(opened, partial, cases)
    return out / PAGE


def require_replaceable(out: Path) -> None:
    """Refuse a folder that holds anything but a report.

    Raises:
        ConfigError: It does.
    """
    page = out / PAGE
    empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not empty and not (page.is_file() and page.read_bytes().startswith(MARK.encode())):
        raise ConfigError(
            f"{out} holds something else than a report, which would be lost; "
            "give --out a folder that is empty or not there"
        )


def _terms(runs: Sequence[OpenedRun]) -> str:
    lines = ["This folder holds scans of real patients, or maps and masks made of them.\n"]
    for run in runs:
        if run.shows_patients:
            licence, citation = run.terms
            title = plain(run.record.manifest["dataset"]["title"])
            lines.append(f"{run.record.run}: {title}\nLicence: {licence}\nCite: {citation}\n")
    return "\n".join(lines)

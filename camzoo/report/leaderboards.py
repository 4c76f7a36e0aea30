"""A folder of leaderboards: records of runs, and the pages made from them."""

from __future__ import annotations

import difflib
from pathlib import Path

from camzoo.errors import CamzooError, ConfigError
from camzoo.files import write_text
from camzoo.report.markdown import page
from camzoo.report.records import read_record
from camzoo.report.records import take_in as _take_in


def write_page(run: Path) -> Path:
    """Write the leaderboard of a single run into its folder."""
    record = read_record(run)
    path = run / "leaderboard.md"
    write_text(path, page(record.dataset, [record]))
    return path


def take_in(run: Path, out: Path) -> None:
    """Add a finished run to the folder of leaderboards ``out``.

    Raises:
        ConfigError: ``run`` holds no finished run.
    """
    _take_in(run, out / "records")


def write_leaderboards(out: Path) -> list[Path]:
    """Write the page of every data set that ``out`` has records of.

    Raises:
        ConfigError: There are no records.
    """
    pages = _pages(out)
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def check_leaderboards(out: Path) -> None:
    """Refuse pages that differ from what their rows give.

    Raises:
        CamzooError: With the first lines that differ.
    """
    for path, text in _pages(out).items():
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if there != text:
            lines = difflib.unified_diff(
                there.splitlines(), text.splitlines(), str(path), "from its rows", n=0, lineterm=""
            )
            raise CamzooError(
                f"{path} is out of date; run camzoo leaderboard --out {out}\n"
                + "\n".join(list(lines)[:12])
            )


def _pages(out: Path) -> dict[Path, str]:
    folders = sorted((out / "records").glob("*/manifest.json"))
    if not folders:
        raise ConfigError(
            f"{out} holds no records; name the folder of a run: camzoo leaderboard RUN"
        )
    records = [read_record(file.parent) for file in folders]
    datasets = sorted({record.dataset for record in records})
    return {
        out / f"{name}.md": page(name, [r for r in records if r.dataset == name])
        for name in datasets
    }

"""A folder of leaderboards: records of runs, and the pages made from them.

Everything is read and every page is made before anything is replaced: a run that cannot be taken
in leaves all as it was.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from camzoo.core.checksums import SUMS, write_sums
from camzoo.core.errors import CamzooError, ConfigError, DataError
from camzoo.core.files import replace_folder, settle_folders, write_text
from camzoo.report.markdown import HEADER, page
from camzoo.report.records import Record, files_of, read_record
from camzoo.report.titles import titles_of

_RECORDS: Final = "records"


def write_page(run: Path) -> Path:
    """Write the leaderboard of a single run into its folder."""
    record = read_record(run)
    path = run / "leaderboard.md"
    write_text(path, page(record.dataset, [record]))
    return path


def update_leaderboards(runs: Sequence[Path], out: Path) -> list[Path]:
    """Add finished runs to the folder of leaderboards ``out`` and write the page of every data set.

    Args:
        runs: Folders of runs; one takes the place of a record of its name.
        out: Folder with the pages, and the records that they are made from.

    Returns:
        The pages.

    Raises:
        ConfigError: A folder holds no finished run, two are one run, or there are no records.
        DataError: A run or a record that stays is damaged.
    """
    settle_folders(out / _RECORDS)
    new: dict[str, tuple[Path, Record]] = {}
    for run in runs:
        record = read_record(run)
        if record.run in new:
            raise ConfigError(
                f"{new[record.run][0]} and {run} are both the run {record.run}; give one of them"
            )
        new[record.run] = run, record
    stay = _records(out, without=new)
    pages = _pages(out, {**stay, **{name: record for name, (_, record) in new.items()}})
    for name, (run, _) in new.items():
        _put(run, out / _RECORDS / name)
    # First: on some systems an old page is that of a name which differs in capitals alone.
    for path in _left_over(out, pages):
        path.unlink()
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def check_leaderboards(out: Path) -> None:
    """Refuse pages that differ from what their rows give.

    Raises:
        ConfigError: There are no records.
        DataError: A record is damaged.
        CamzooError: With the first lines that differ.
    """
    pages = _pages(out, _records(out))
    for path in _left_over(out, pages):
        raise CamzooError(f"no record is of {path}; run camzoo leaderboard --out {out}")
    for path, text in pages.items():
        there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if there != text:
            lines = difflib.unified_diff(
                there.splitlines(), text.splitlines(), str(path), "from its rows", n=0, lineterm=""
            )
            raise CamzooError(
                f"{path} is out of date; run camzoo leaderboard --out {out}\n"
                + "\n".join(list(lines)[:12])
            )


def _records(out: Path, without: Iterable[str] = ()) -> dict[str, Record]:
    """Read the records of ``out`` by name, but for those that are to be replaced."""
    folder, left = out / _RECORDS, set(without)
    found = {}
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if place.name.startswith(".") or place.name in left or not place.is_dir():
            continue
        record = read_record(place)
        if record.run != place.name:
            raise DataError(
                f"{place} is the record of {record.run}; rename the folder, or take it away"
            )
        found[record.run] = record
    return found


def _pages(out: Path, records: Mapping[str, Record]) -> dict[Path, str]:
    """The text of every page, in the order of the data sets."""
    if not records:
        raise ConfigError(
            f"{out} holds no records; name the folder of a run: camzoo leaderboard RUN"
        )
    ordered = [records[name] for name in sorted(records)]
    titles = titles_of(ordered)
    return {
        out / f"{title}.md": page(title, [r for r in ordered if titles[r.run] == title])
        for title in sorted(set(titles.values()))
    }


def _left_over(out: Path, pages: Iterable[Path]) -> list[Path]:
    """Pages that were written once and that no record belongs on any more."""
    generated = (
        path for path in sorted(out.glob("*.md")) if path.read_bytes().startswith(HEADER.encode())
    )
    return [path for path in generated if path not in set(pages)]


def _put(run: Path, target: Path) -> None:
    """Copy a run to ``target``; what is there stays until all of the run is beside it."""
    if target.exists() and run.samefile(target):
        return
    with replace_folder(target) as partial:
        names = files_of(run)
        for name in names:
            shutil.copyfile(run / name, partial / name)
        write_sums(partial, names)
        if (run / SUMS).exists() and (run / SUMS).read_bytes() != (partial / SUMS).read_bytes():
            raise DataError(f"{run} changed while it was copied; give the same command again")

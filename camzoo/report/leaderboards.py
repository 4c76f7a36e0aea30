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
from camzoo.core.suggest import unknown
from camzoo.report.board import boards
from camzoo.report.index import index
from camzoo.report.merged import merge
from camzoo.report.page import HEADER, page
from camzoo.report.records import Record, files_of, read_record
from camzoo.report.titles import titles_of
from camzoo.submissions.records import Submission, read_submission, write_submission

#: Folder with the records that the pages beside it are made from.
RECORDS: Final = "records"
_SUBMISSIONS: Final = "submissions"
#: What hosts of code show of a folder.
INDEX: Final = "README.md"


def write_page(run: Path) -> Path:
    """Write the leaderboard of a single run into its folder."""
    record = read_record(run)
    merged, path = merge([record]), run / "leaderboard.md"
    write_text(path, page(record.dataset, merged, boards(merged), folder=None))
    return path


def update_leaderboards(
    runs: Sequence[Path], out: Path, submissions: Sequence[Submission] = ()
) -> list[Path]:
    """Add finished runs to the folder of leaderboards ``out`` and write the page of every data set.

    Args:
        runs: Folders of runs; one takes the place of a record of its name.
        out: Folder with the pages, and the records that they are made from.
        submissions: Rows of others that were scored here; each takes the place of its namesake.

    Returns:
        The pages of data sets; beside them is the index of these, unless somebody else's file is
        there.

    Raises:
        ConfigError: A folder holds no finished run, two are one run, or there are no records.
        DataError: A run or a record that stays is damaged.
    """
    for folder in (RECORDS, _SUBMISSIONS):
        settle_folders(out / folder)
    new: dict[str, tuple[Path, Record]] = {}
    for run in runs:
        record = read_record(run)
        if record.run in new:
            raise ConfigError(
                f"{new[record.run][0]} and {run} are both the run {record.run}; give one of them"
            )
        new[record.run] = run, record
    stay = _records(out, without=new)
    theirs = _submissions(out) | {one.name: one for one in submissions}
    pages = _pages(out, {**stay, **{name: record for name, (_, record) in new.items()}}, theirs)
    for name, (run, _) in new.items():
        _put(run, out / RECORDS / name)
    for one in submissions:
        write_submission(out / _SUBMISSIONS / one.name, one)
    # First: on some systems an old page is that of a name which differs in capitals alone.
    for path in _left_over(out, pages):
        path.unlink()
    for path, text in pages.items():
        write_text(path, text)
    return [path for path in pages if path.name != INDEX]


def check_leaderboards(out: Path) -> None:
    """Refuse pages that differ from what their rows give.

    Raises:
        ConfigError: There are no records.
        DataError: A record is damaged.
        CamzooError: With the first lines that differ.
    """
    pages = _pages(out, _records(out), _submissions(out))
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


def records_of(out: Path) -> list[Path]:
    """Return the folders of the records of ``out``, then those of its submissions.

    Raises:
        ConfigError: There are no records.
    """
    places = _folders(out / RECORDS)
    if not places:
        raise _no_records(out)
    return [*places, *_folders(out / _SUBMISSIONS)]


def record_of(out: Path, run: str) -> Path:
    """Return the folder of the record of a run.

    Raises:
        ConfigError: There is none in ``out``.
    """
    places = {place.name: place for place in _folders(out / RECORDS)}
    if run not in places:
        raise unknown("run", run, places, of=f"{out}")
    return places[run]


def _folders(above: Path) -> list[Path]:
    found = sorted(above.iterdir()) if above.is_dir() else []
    return [place for place in found if place.is_dir() and not place.name.startswith(".")]


def _no_records(out: Path) -> ConfigError:
    return ConfigError(f"{out} holds no records; name the folder of a run: camzoo leaderboard RUN")


def _records(out: Path, without: Iterable[str] = ()) -> dict[str, Record]:
    """Read the records of ``out`` by name, but for those that are to be replaced."""
    left, found = set(without), {}
    for place in _folders(out / RECORDS):
        if place.name in left:
            continue
        record = read_record(place)
        if record.run != place.name:
            raise DataError(
                f"{place} is the record of {record.run}; rename the folder, or take it away"
            )
        found[record.run] = record
    return found


def _submissions(out: Path) -> dict[str, Submission]:
    return {place.name: read_submission(place) for place in _folders(out / _SUBMISSIONS)}


def _pages(
    out: Path, records: Mapping[str, Record], submissions: Mapping[str, Submission]
) -> dict[Path, str]:
    """The text of every page, in the order of the data sets, and of the index at the end."""
    if not records:
        raise _no_records(out)
    ordered = [records[name] for name in sorted(records)]
    theirs = [submissions[name] for name in sorted(submissions)]
    for one in theirs:
        if one.run not in records:
            raise DataError(
                f"{out / _SUBMISSIONS / one.name} is for the run {one.run}, which has no record "
                f"here; add the record of that run, or take the submission away"
            )
    titles = titles_of(ordered)
    together = {
        title: [record for record in ordered if titles[record.run] == title]
        for title in sorted(set(titles.values()))
    }
    merged = {
        title: merge(mine, [s for s in theirs if s.run in {record.run for record in mine}])
        for title, mine in together.items()
    }
    shown = {title: boards(mine) for title, mine in merged.items()}
    pages = {out / _file(title): page(title, merged[title], shown[title]) for title in together}
    if not (out / INDEX).exists() or _is_generated(out / INDEX):
        listed = {title: (_file(title), merged[title], shown[title]) for title in together}
        pages[out / INDEX] = HEADER + index(listed)
    return pages


def _file(title: str) -> str:
    """Name of a page; none is that of the index, not even on systems that ignore capitals."""
    taken = f"{title}.md".casefold() == INDEX.casefold()
    return f"{title}-data.md" if taken else f"{title}.md"


def _is_generated(path: Path) -> bool:
    return path.read_bytes().startswith(HEADER.encode())


def _left_over(out: Path, pages: Iterable[Path]) -> list[Path]:
    """Pages that were written once and that no record belongs on any more."""
    generated = (path for path in sorted(out.glob("*.md")) if _is_generated(path))
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

"""Submissions as leaderboards keep them: the rows that were computed here, and what was said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pandas as pd
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from camzoo.core.checksums import verify_sums, write_sums
from camzoo.core.errors import DataError
from camzoo.core.files import replace_folder, write_text
from camzoo.core.stored import read_json
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import ROWS, read_rows, write_rows
from camzoo.harness.manifest import SHORT, Digest, Text
from camzoo.submissions.bundle import Bundle
from camzoo.submissions.names import SUBMITTED

#: Of every submission, beside its rows.
SUBMISSION: Final = "submission.json"
FILES: Final = (ROWS, SUBMISSION)


@with_config(ConfigDict(strict=True, extra="forbid"))
class Scored(TypedDict):
    """``submission.json``."""

    schema: Literal[1]
    bundle: Bundle
    #: SHA-256 of the bundle that was scored, as :attr:`OpenBundle.digest` says it.
    digest: Digest
    #: Version of camzoo that scored it.
    camzoo: Text


_SCORED: Final = TypeAdapter(Scored)


@dataclass(frozen=True)
class Submission:
    """One submission.

    Attributes:
        name: Of its folder.
        rows: Result rows.
        scored: What was said, and what was scored.
    """

    name: str
    rows: pd.DataFrame
    scored: Scored

    @property
    def run(self) -> str:
        """The run whose split it follows."""
        return self.scored["bundle"]["run"]


def write_submission(folder: Path, submission: Submission) -> None:
    """Write a submission as a folder; equal ones give equal files."""
    with replace_folder(folder) as partial:
        write_rows(submission.rows, partial / ROWS)
        write_text(partial / SUBMISSION, json.dumps(submission.scored, indent=1) + "\n")
        write_sums(partial, FILES)


def read_submission(folder: Path) -> Submission:
    """Read a submission.

    Raises:
        DataError: A file is damaged, or rows are not those of the submission.
    """
    verify_sums(folder, FILES, score_again)
    scored = read_json(folder / SUBMISSION, _SCORED, score_again)
    rows = read_rows(folder / ROWS)
    require_sound(rows, str(folder / ROWS))
    bundle = scored["bundle"]
    said = {
        "method": bundle["method"], "variant": SUBMITTED, "data": bundle["data"][:SHORT],
        "run": bundle["run"], "supervision": bundle["supervision"],
    }  # fmt: skip
    for name, value in said.items():
        found = {str(one) for one in rows[name].unique()}
        if found != {value}:
            raise DataError(
                f"{folder / ROWS}: its {name} is {sorted(found)}, {SUBMISSION} says {value}; "
                f"{score_again(folder)}"
            )
    return Submission(folder.name, rows, scored)


def score_again(_path: Path) -> str:
    """What to do about a damaged file of a submission."""
    return "check the bundle again: camzoo submit check"

"""``camzoo score``: anyone's heat maps or masks, scored and ranked without a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from camzoo.console import make_console
from camzoo.errors import ConfigError

if TYPE_CHECKING:
    from camzoo.score import Scores

#: Columns that fit a terminal; the tables under --out have all.
_ON_SCREEN: Final = [
    "rank", "method", "DSC (%)", "gap", "ASD (mm)", "MAD (mm)", "failed", "p (Holm)", "first",
]  # fmt: skip
console = make_console()


def score(
    masks: Annotated[Path, typer.Option(help="Folder of references: a label file per case.")],
    maps: Annotated[
        Path | None, typer.Option(help="Folder of heat maps, or of one folder per method.")
    ] = None,
    preds: Annotated[
        Path | None, typer.Option(help="Folder of predicted labels, or of one folder per method.")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help="z=3,y=0.6,x=0.6 in mm; for references without a header.")
    ] = None,
    organs: Annotated[str | None, typer.Option(help="Names of classes 1..C, by comma.")] = None,
    patients: Annotated[
        Path | None, typer.Option(help="CSV with the columns case and patient.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Count missing predictions as failures.")
    ] = False,
    thirds: Annotated[bool, typer.Option("--thirds", help="Score apex, mid and base too.")] = False,
    normalise: Annotated[
        str, typer.Option(help="Of maps, by class over the volume: none, max or minmax.")
    ] = "none",
    fixed: Annotated[float, typer.Option(help="Threshold of the protocol fixed.")] = 0.5,
    out: Annotated[Path | None, typer.Option(help="Folder for rows, curves and tables.")] = None,
) -> None:
    """Score heat maps (--maps) or masks (--preds) against references (--masks)."""
    if (maps is None) == (preds is None):
        raise ConfigError("give either --maps (heat maps) or --preds (masks), exactly one of them")
    from camzoo.scoring.normalisation import parse_normalisation

    normalisation = parse_normalisation(normalise)  # before what takes seconds to import

    from camzoo.progress import ConsoleReporter
    from camzoo.score import score_maps, score_masks
    from camzoo.scoring.files import parse_spacing
    from camzoo.scoring.options import ScoreOptions

    options = ScoreOptions(
        spacing=parse_spacing(spacing),
        organs=tuple(organs.split(",")) if organs else None,
        patients=patients,
        allow_missing=allow_missing,
        with_thirds=thirds,
        normalisation=normalisation,
        fixed=fixed,
    )
    reporter = ConsoleReporter(console)
    if maps is not None:
        scores = score_maps(maps, masks, options, reporter)
    elif preds is not None:
        scores = score_masks(preds, masks, options, reporter)
    _show(scores)
    if out is not None:
        _write(scores, out)


def _show(scores: Scores) -> None:
    from camzoo.report.terminal import text_table
    from camzoo.scoring.tables import definitions, protocols, ranking

    for note in scores.notes:
        console.print(f"note: {note}", markup=False, highlight=False)
    for protocol in protocols(scores.rows):
        frame = ranking(scores.rows, protocol).filter(_ON_SCREEN)
        console.print(text_table(f"protocol: {protocol}", frame))
    console.print(f"\n{definitions(scores.rows)}", markup=False, highlight=False)


def _write(scores: Scores, out: Path) -> None:
    from camzoo.files import write_text
    from camzoo.rows import write_rows
    from camzoo.scoring.tables import page

    out.mkdir(parents=True, exist_ok=True)
    write_rows(scores.rows, out / "rows.parquet")
    if scores.curves is not None:
        scores.curves.to_parquet(out / "curves.parquet", index=False)
    write_text(out / "scores.md", page(scores.rows, scores.notes))
    console.print(f"rows, curves, tables: {out}", highlight=False)

"""``camzoo score``: anyone's heat maps or masks, scored and ranked without a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from camzoo.core.errors import ConfigError
from camzoo.core.output import AsJson, BeQuiet, Output

if TYPE_CHECKING:
    from camzoo.evaluate.scoring import Scores

#: Columns that fit a terminal; the tables under --out have all.
_ON_SCREEN: Final = [
    "rank", "method", "DSC (%)", "gap", "ASD (mm)", "MAD (mm)", "failed", "p (Holm)", "first",
]  # fmt: skip


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
    slices: Annotated[
        str,
        typer.Option(
            help="Plane of the columns per slice: acquired (across the thick axis) or axial."
        ),
    ] = "acquired",
    normalise: Annotated[
        str, typer.Option(help="Of maps, by class over the volume: none, max or minmax.")
    ] = "none",
    fixed: Annotated[float, typer.Option(help="Threshold of the protocol fixed.")] = 0.5,
    metrics: Annotated[
        str, typer.Option(help="Further columns of the tables: names of camzoo list metrics.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for rows, curves and tables.")] = None,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Score heat maps (--maps) or masks (--preds) against references (--masks)."""
    if (maps is None) == (preds is None):
        raise ConfigError("give either --maps (heat maps) or --preds (masks), exactly one of them")
    from camzoo.evaluate.normalisation import parse_normalisation

    parse_normalisation(normalise)  # before what takes seconds to import
    more = _metrics(metrics)

    from camzoo.evaluate.prediction_files import parse_spacing
    from camzoo.evaluate.scoring import score as score_files

    output = Output(as_json, quiet)
    with output.reporting() as reporter:
        scores = score_files(
            masks=masks,
            maps=maps,
            preds=preds,
            spacing=parse_spacing(spacing),
            organs=organs.split(",") if organs else None,
            patients=patients,
            allow_missing=allow_missing,
            thirds=thirds,
            slices=slices,
            normalise=normalise,
            fixed=fixed,
            reporter=reporter,
        )
    if out is not None:
        _write(scores, out, more)
    if as_json:
        output.document(_document(scores, out))
        return
    _show(scores, output, more)
    if out is not None:
        output.say(f"rows, curves, tables: {out}")


def _metrics(text: str) -> list[str]:
    """Names of metrics, from names and places of classes; those are registered."""
    from camzoo.core.registries import metrics
    from camzoo.core.spec import split_names
    from camzoo.harness.plugins import with_plugins
    from camzoo.metrics.definitions import get_metric

    names = split_names(with_plugins(text, metrics)[0])
    for name in names:
        get_metric(name)
    return names


def _document(scores: Scores, out: Path | None) -> dict[str, Any]:
    from camzoo.report.numbers import numbers

    folder = None if out is None else str(out)
    return {"results": numbers(scores.rows), "notes": list(scores.notes), "folder": folder}


def _show(scores: Scores, output: Output, more: Sequence[str]) -> None:
    from camzoo.report.further import heading
    from camzoo.report.ranking import definitions, protocols, ranking
    from camzoo.report.terminal import text_table

    output.say(f"slices: {scores.slices}")
    for note in scores.notes:
        output.say(f"note: {note}")
    asked = [heading(name) for name in more]
    for protocol in protocols(scores.rows):
        frame = ranking(scores.rows, protocol, more=more).filter(_ON_SCREEN + asked)
        output.show(text_table(f"protocol: {protocol}", frame))
    output.say(f"\n{definitions(scores.rows, more)}")


def _write(scores: Scores, out: Path, more: Sequence[str]) -> None:
    from camzoo.core.files import storing, write_text
    from camzoo.evaluate.rows import write_rows
    from camzoo.report.ranking import page

    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        write_rows(scores.rows, out / "rows.parquet")
        if scores.curves is not None:
            scores.curves.to_parquet(out / "curves.parquet", index=False)
        notes = (f"slices: {scores.slices}", *scores.notes)
        write_text(out / "scores.md", page(scores.rows, notes, more))

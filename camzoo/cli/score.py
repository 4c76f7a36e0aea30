"""``camzoo score``: anyone's heat maps or masks, scored and ranked without a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from camzoo.cli import score_arguments as arguments
from camzoo.core.errors import ConfigError
from camzoo.core.output import AsJson, BeQuiet, Output

if TYPE_CHECKING:
    from camzoo.evaluate.scoring import Scores

#: Columns that fit a terminal; the tables under --out have all.
_ON_SCREEN: Final = [
    "rank", "method", "DSC (%)", "gap", "ASD (mm)", "MAD (mm)", "failed", "p (Holm)", "first",
]  # fmt: skip


def score(
    masks: arguments.Masks,
    maps: arguments.Maps = None,
    preds: arguments.Predictions = None,
    spacing: arguments.Spacing = None,
    organs: arguments.Organs = None,
    images: arguments.Images = None,
    patients: arguments.Patients = None,
    allow_missing: arguments.AllowMissing = False,
    thirds: arguments.Thirds = False,
    slices: arguments.Slices = "acquired",
    normalise: arguments.Normalise = "none",
    fixed: arguments.Fixed = 0.5,
    metrics: arguments.Metrics = "",
    out: arguments.Out = None,
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
            images=images,
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
    from camzoo.core.spec import split_names
    from camzoo.harness.plugins import with_plugins
    from camzoo.metrics.definitions import get_metric
    from camzoo.registries import metrics

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

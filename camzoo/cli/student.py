"""``camzoo student``: pseudo-masks of a run as a data set that nnU-Net learns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from camzoo.cli import cell_arguments as arguments
from camzoo.core.output import AsJson, BeQuiet, Output

if TYPE_CHECKING:
    from camzoo.core.progress import Reporter
    from camzoo.evaluate.scoring import Scores
    from camzoo.students.nnunet import Student

#: Columns of the only line of the table.
_ON_SCREEN: Final = ["DSC (%)", "95 % interval", "ASD (mm)", "MAD (mm)", "failed"]


def student(
    run: arguments.Run,
    out: Annotated[Path, typer.Option(help="Folder .../nnUNet_raw/DatasetNNN_Name to write.")],
    method: Annotated[
        str | None, typer.Option(help="Line of the run whose maps are cut, as cam[blend].")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Or a baseline of the run, whose labels are taken.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="How the threshold of maps was chosen.")] = (
        "validated"
    ),
    unsure: Annotated[
        float, typer.Option(help="Voxels whose map is so near to the threshold are ignored.")
    ] = 0.0,
    fold: arguments.Fold = None,
    seed: arguments.Seed = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder with the data set, where it has moved.")
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Also train nnU-Net, predict the test cases, score.")
    ] = False,
    configuration: Annotated[str, typer.Option(help="Of nnU-Net: 2d, 3d_fullres.")] = "2d",
    trainer: Annotated[
        str | None,
        typer.Option(help="Class of its trainer. Without: one that does not mirror sided organs."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Write pseudo-masks as a raw data set of nnU-Net, and train it on them where it is there."""
    from camzoo.core.environment import choose_device
    from camzoo.students.lesson import Choice, teach
    from camzoo.students.nnunet import Student, fitting_trainer, require_installed
    from camzoo.students.nnunet_raw import RawFolder

    output, raw = Output(as_json, quiet), RawFolder(out)
    choice = Choice(method, baseline, protocol, unsure)
    kind = choose_device(device).type
    if train:
        require_installed()
    with output.reporting() as reporter:
        lesson = teach(run, raw, choice, fold=fold, seed=seed, root=root, reporter=reporter)
        trainer = trainer or fitting_trainer(sided=lesson.sided)
        pupil = Student(raw, configuration, trainer, kind)
        scores = _trained(pupil, lesson.organs, reporter) if train else None
    record = {"folder": str(out), **lesson.record(), "commands": pupil.lines(lesson.organs)}
    output.tell(f"{out}: {lesson.line}")
    if scores is None:
        output.document(record)
        for line in record["commands"]:
            output.tell(line, style="bold")
    else:
        _show(scores, record, output)


def _trained(pupil: Student, organs: Sequence[str], reporter: Reporter) -> Scores:
    """Let nnU-Net learn and predict; its masks are scored as anybody's are."""
    from camzoo.evaluate.score_options import ScoreOptions
    from camzoo.evaluate.scoring import score_masks

    pupil.train(reporter)
    options = ScoreOptions(organs=tuple(organs), patients=pupil.raw.patients)
    return score_masks(pupil.predictions, pupil.raw.references, options, reporter)


def _show(scores: Scores, record: dict[str, Any], output: Output) -> None:
    from camzoo.evaluate.rows import AS_GIVEN
    from camzoo.report.numbers import numbers
    from camzoo.report.ranking import ranking
    from camzoo.report.terminal import text_table

    output.document(record | {"results": numbers(scores.rows), "notes": list(scores.notes)})
    table = ranking(scores.rows, AS_GIVEN).filter(_ON_SCREEN)
    output.show(text_table("nnU-Net on the test cases", table))
    for note in scores.notes:
        output.say(f"note: {note}")

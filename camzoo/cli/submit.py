"""``camzoo submit``: somebody else's predictions, packed there and scored again here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.core.output import AsJson, BeQuiet, Output

submit_app = typer.Typer(
    help="Pack predictions for the split of a run; check and score such a bundle.",
    no_args_is_help=True,
)

Root = Annotated[Path | None, typer.Option(help="Folder with the data set of the run.")]
Leaderboards = Annotated[Path, typer.Option(help="Folder of leaderboards, with records of runs.")]


@submit_app.command()
def pack(
    predictions: Annotated[
        Path, typer.Argument(help="Folder with a file per case, or with fold-K for each fold.")
    ],
    run: Annotated[str, typer.Option(help="Name of the run whose split they follow.")],
    method: Annotated[str, typer.Option(help="What the row is called.")],
    author: Annotated[str, typer.Option(help="Who made it.")],
    licence: Annotated[str, typer.Option(help="Terms under which the predictions may be kept.")],
    citation: Annotated[str, typer.Option(help="What to cite.")],
    seen: Annotated[
        str, typer.Option(help="What the network saw: data sets, weights, masks. All of it.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write, a .zip.")],
    supervision: Annotated[
        str,
        typer.Option(help="Learnt from: image (tags), image+size, image+sam, image+seed or mask."),
    ] = "image",
    maps: Annotated[
        bool, typer.Option("--maps", help="Heat maps of test and validation cases, not masks.")
    ] = False,
    folds: Annotated[str, typer.Option(help="Folds that are there, by comma; or all.")] = "all",
    root: Root = None,
    leaderboards: Leaderboards = Path("leaderboards"),
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Pack masks (or --maps) of the test cases of a run, with what is to be known of them."""
    from camzoo.core.files import storing
    from camzoo.core.suggest import unknown
    from camzoo.core.supervision import Supervision
    from camzoo.report.leaderboards import record_of
    from camzoo.submissions.pack import Statement
    from camzoo.submissions.pack import pack as pack_bundle
    from camzoo.submissions.published import open_published

    output = Output(as_json, quiet)
    if supervision not in list(Supervision):
        raise unknown("supervision", supervision, list(Supervision))
    statement = Statement(
        method,
        Supervision(supervision),
        {"author": author, "licence": licence, "citation": citation, "seen": seen},
    )
    with output.reporting() as reporter:
        with reporter.stage("reading the data set") as tick:
            published = open_published(record_of(leaderboards, run), root, tick)
        with reporter.stage("packing"), storing(out.parent):
            bundle = pack_bundle(
                predictions,
                published,
                statement,
                out,
                kind="maps" if maps else "masks",
                folds=[] if folds == "all" else folds.split(","),
            )
    count = sum(map(len, bundle["folds"].values()))
    output.document({"bundle": str(out), "files": count})
    output.tell(f"{out}: {bundle['kind']} of {count} cases for the run {run}")


@submit_app.command()
def check(
    bundle: Annotated[Path, typer.Argument(help="What camzoo submit pack wrote.")],
    root: Root = None,
    leaderboards: Leaderboards = Path("leaderboards"),
    add: Annotated[
        bool, typer.Option("--add", help="Put the row into the leaderboards, where all is well.")
    ] = False,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Refuse a bundle that is not what it says, or score it; exit code 2 for the former."""
    from camzoo.core.text import plain
    from camzoo.report.leaderboards import record_of, update_leaderboards
    from camzoo.report.numbers import numbers
    from camzoo.report.overview import overview_of, overview_table
    from camzoo.report.terminal import text_table
    from camzoo.submissions.bundle import OpenBundle
    from camzoo.submissions.published import open_published
    from camzoo.submissions.scoring import score_bundle

    output = Output(as_json, quiet)
    opened = OpenBundle(bundle)
    with output.reporting() as reporter:
        with reporter.stage("reading the data set") as tick:
            record = record_of(leaderboards, opened.bundle["run"])
            published = open_published(record, root, tick)
        scored = score_bundle(opened, published, reporter)
        pages = update_leaderboards([], leaderboards, [scored]) if add else []
    named = {"submission": scored.name, "results": numbers(scored.rows)}
    output.document(named | {"pages": [str(page) for page in pages]})
    output.say(f"seen, as its author says: {plain(opened.bundle['about']['seen'])}")
    output.show(text_table(scored.name, overview_table(overview_of(scored.rows))))
    for page in pages:
        output.tell(str(page))

"""``camzoo compare``: two runs, or two methods of one, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from camzoo.core.output import AsJson, BeQuiet, Output

if TYPE_CHECKING:
    import pandas as pd

    from camzoo.report.run_comparison import Comparison, PairedLine

#: Cases that moved most, on screen and of each method in JSON.
_MOVED: Final = 10


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two runs, or of one.")],
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Given again for more; of one run, two are compared."),
    ] = None,
    metric: Annotated[str, typer.Option(help="A name of camzoo list metrics.")] = "dsc",
    protocol: Annotated[
        str, typer.Option(help="How thresholds of maps were chosen.")
    ] = "validated",
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Say how test cases differ between two runs, or two methods, and which settings differ."""
    from camzoo.report.run_comparison import compare_runs

    output = Output(as_json, quiet)
    with output.reporting() as reporter, reporter.stage("comparing"):
        found = compare_runs(runs, method or (), metric=metric, protocol=protocol)
    if as_json:
        output.document(_document(found, metric, protocol))
        return
    _show(found, metric, protocol, output)


def _document(found: Comparison, metric: str, protocol: str) -> dict[str, Any]:
    return {
        "sides": list(found.sides),
        "metric": metric,
        "protocol": protocol,
        "methods": [_line(line) for line in found.lines],
        "settings": [
            {"name": name, "first": first, "second": second}
            for name, first, second in found.settings
        ],
        "notes": list(found.notes),
    }


def _line(line: PairedLine) -> dict[str, Any]:
    moved = line.values.head(_MOVED).reset_index().to_dict("records")
    return {
        "method": line.method, "n": len(line.values), "n_patients": line.patients, **line.means,
        "ci_low": line.interval.low, "ci_high": line.interval.high, "p": line.p,
        "p_holm": line.p_holm, "moved": moved,
    }  # fmt: skip


def _show(found: Comparison, metric: str, protocol: str, output: Output) -> None:
    import pandas as pd

    from camzoo.core.text import plain
    from camzoo.metrics.definitions import get_metric
    from camzoo.report.table_cells import title
    from camzoo.report.terminal import text_table

    for side, name in zip(("first", "second"), found.sides, strict=True):
        output.tell(f"{side}: {plain(name)}")
    factor = 1 if get_metric(metric).unit else 100
    about = f"{title(metric)} of test cases, threshold {protocol}; second minus first"
    output.show(text_table(about, pd.DataFrame(_cells(line, factor) for line in found.lines)))
    moved = _moved(found, factor)
    if len(moved):
        output.show(text_table("Cases that moved most", moved))
    else:
        output.tell("No case moved.")
    if found.settings:
        settings = pd.DataFrame(found.settings, columns=["differs in", "first", "second"])
        output.show(text_table("What differs", settings))
    for note in found.notes:
        output.say(f"note: {note}")


def _cells(line: PairedLine, factor: float) -> dict[str, str]:
    from camzoo.report.table_cells import number, p_value

    means = {name: number(factor * mean) for name, mean in line.means.items()}
    low, high = (number(factor * end) for end in line.interval)
    return {
        "method": line.method, "cases": f"{len(line.values)}", "patients": f"{line.patients}",
        **means, "95 % interval": f"{low} to {high}", "p": p_value(line.p),
        "p (Holm)": p_value(line.p_holm),
    }  # fmt: skip


def _moved(found: Comparison, factor: float) -> pd.DataFrame:
    """The cases of all methods together that differ most."""
    import pandas as pd

    from camzoo.report.table_cells import number

    all_values = pd.concat(
        [line.values.reset_index().assign(method=line.method) for line in found.lines],
        ignore_index=True,
    )
    sizes = all_values["difference"].abs().sort_values(ascending=False, kind="stable")
    moved = all_values.loc[sizes.index[sizes > 0][:_MOVED]]
    cells = {name: (factor * moved[name]).map(number) for name in ("first", "second", "difference")}
    return pd.DataFrame({"case": moved["case"], "method": moved["method"], **cells})

"""Tables compile, say what they show, and print bold what is surely best."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from camzoo.evaluate.rows import make_rows
from camzoo.report.escaping import latex
from camzoo.report.folder import Export, write_report
from camzoo.report.table_cells import compare, winner
from tests.report.hostile import FRAMED, HOSTILE
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import maps, record, records

#: A letter that LaTeX acts on, without a backslash before it; braces are counted apart.
_ACTIVE = re.compile(r"(?<!\\)(?:\\\\)*[%$#&_^~]")


def tables(tmp_path, rows, **changes):
    rows = make_rows(rows)
    run = run_folder(tmp_path / "run", rows, rows[rows["protocol"] != "none"], **changes)
    folder = write_report([run], tmp_path / "out", exports=[Export.LATEX]).parent / "latex"
    return {path.stem: path.read_text("utf-8") for path in folder.iterdir()}


def many(better=0.2, patients=12):
    """Volumes of two methods, of which one is better by so much in every patient."""
    shares = np.linspace(0.3, 0.6, patients)
    return [
        record(
            method, i, (round(100 * (share + more)), 100, 100), subset, stage="pseudo-mask",
            protocol="validated", threshold=0.4, asd_mm=5 - share - more, mad_mm=float(i),
        )
        for subset in ("train", "test")
        for method, more in {"good": better, "poor": 0.0}.items()
        for i, share in enumerate(shares)
    ]  # fmt: skip


def balanced(text):
    """Whether braces that are not escaped open and close in order."""
    depth = 0
    for mark in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth < 0:
            return False
    return depth == 0


def test_a_table_is_one_of_booktabs_with_a_caption_and_a_label(tmp_path):
    found = tables(tmp_path, [*maps(), *records()])
    assert set(found) == {"r1-pooled", "r1-volumes", "r1-baselines"}
    text = found["r1-volumes"]
    for part in (
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
        r"\label{tab:r1-volumes}",
        r"\centering",
    ):
        assert text.count(part) == 1
    caption = re.search(r"\\caption\{(.*)\}", text)[1]
    for part in ("threshold validated", "ACDC, test: 2 volumes of 2 patients", "fold 0", "seed 0"):
        assert part in caption
    assert r"46.67 $\pm$ 18.86" in text  # 60 and 33.33 %: sample std 26.67 / sqrt 2
    assert "not run" not in found["r1-baselines"]


def test_bold_is_what_the_test_tells_from_all_others(tmp_path):
    """Differences of one sign in 12 patients: p = 2 / 2^12; MAD is the same for both."""
    text = tables(tmp_path, many())["r1-volumes"]
    bold = re.findall(r"\\textbf\{([^}]*)\}", text)
    assert len(bold) == 2
    good = next(line for line in text.splitlines() if line.startswith("good"))
    assert good.count(r"\textbf") == 2
    assert r"\textbf{65.0" in good  # the mean of 0.5 to 0.8
    assert r"\textbf{4.35" in good


@pytest.mark.parametrize("rows", [many(better=0.0), many(patients=4), maps()])
def test_nothing_is_bold_where_nothing_is_sure(rows, tmp_path):
    """Equal methods; 4 patients, whose p is 1 / 8 at least; a single method."""
    assert "textbf" not in "".join(tables(tmp_path, rows).values())


def test_the_winner_by_a_distance_is_the_lowest():
    rows = make_rows(row for row in many() if row["subset"] == "test")
    assert tuple(winner(compare(rows, name)) for name in ("dsc", "asd_mm", "mad_mm")) == (
        "good", "good", None,
    )  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_escaped_text_has_nothing_that_latex_acts_on(text):
    written = latex(text).replace(r"$\pm$", "")
    assert balanced(written)
    assert not _ACTIVE.search(written)
    assert "\n" not in written
    assert not written.startswith(("[", "*"))
    assert not re.search(r"--|,,|[<>|\"`']", written)
    commands = set(re.findall(r"\\([A-Za-z]+)", written))
    assert commands <= {
        "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar",
        "textasciigrave", "textquotesingle", "symbol", "ldots",
    }  # fmt: skip


def test_tables_of_hostile_names_keep_their_cells(tmp_path):
    for text in tables(tmp_path, hostile(FRAMED)).values():
        assert balanced(text)
        body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
        lines = [line for line in body.splitlines() if "&" in line]
        assert len(lines) == 1 + len(FRAMED)
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
        named = {line.partition(" & ")[0] for line in lines}
        assert named >= {latex(text) for text in FRAMED.values() if "&" not in text}


def hostile(names):
    """Rows of methods that are called so."""
    return [row | {"method": FRAMED[name]} for name in names for row in maps()]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_tables_compile(tmp_path):
    # pdflatex has no font for other scripts.
    found = tables(tmp_path, hostile(name for name in FRAMED if name != "other scripts"))
    lines = [r"\documentclass{article}\usepackage{booktabs}\begin{document}", *found.values()]
    (tmp_path / "x.tex").write_text("\n".join([*lines, r"\end{document}"]), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "x.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]

"""What others wrote is text wherever it is shown."""

import html
import io
import re

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from camzoo.cli.app import app
from camzoo.core.errors import CamzooError, ConfigError
from camzoo.core.names import is_name, require_name
from camzoo.core.text import plain, reason
from camzoo.evaluate.rows import make_rows, write_rows
from camzoo.report.escaping import Markdown, code, escape
from camzoo.report.gallery import Panel, picture
from camzoo.report.leaderboards import update_leaderboards, write_page
from camzoo.report.markdown import table
from camzoo.report.ranking import page as scores_page
from camzoo.report.terminal import summary, text_table
from tests.report.hostile import FRAMED, HOSTILE
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import maps, records


def shown(markdown):
    """What a reader of markdown sees of one line of it without markup."""
    unescaped = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)
    return html.unescape(unescaped)


#: Markup of CommonMark and of GitHub's extensions that no backslash stands before.
ALIVE = re.compile(
    r"""
      <[A-Za-z/!?] | (?<!\\)(?:\\\\)*[`|~$] | (?<!\\)\][(\[] | &\#?\w+;(?<!&lt;)(?<!&amp;)
    | (?<![\\\w\s])\*\w | ^(?:\#{1,6}\s|>|[-+]\s|\d+[.)]\s|\[)
    """,
    re.VERBOSE,
)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_markdown_shows_what_was_written(text):
    written = escape(text)
    assert "\n" not in written
    assert shown(written) == plain(text)
    assert not ALIVE.search(written)
    assert escape(written) == written
    assert isinstance(written, Markdown)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_code_ends_where_it_should(text):
    fenced = code(text)
    fence = re.match(r"`+", fenced)[0]
    assert fenced.endswith(fence)
    inside = fenced[len(fence) : -len(fence)]
    assert max(map(len, re.findall(r"`+", inside)), default=0) < len(fence)


@pytest.mark.parametrize("text", FRAMED.values(), ids=FRAMED)
def test_tables_keep_their_cells(text):
    lines = table(pd.DataFrame({text: [text], "b": ["1"]})).splitlines()
    assert len(lines) == 3
    for line in lines[::2]:
        assert len(re.findall(r"(?<!\\)\|", line)) == 3


@pytest.mark.parametrize("text", FRAMED.values(), ids=FRAMED)
def test_terminals_show_what_was_written(text):
    stream = io.StringIO()
    console = Console(file=stream, width=60, force_terminal=True, color_system=None)
    console.print(text_table(text, pd.DataFrame({text: [text], "b": ["1"]})))
    printed = stream.getvalue()
    for hidden in "\x1b\x07\0\u202e\u2066\u200b\ufeff\r\x0b\u2028":
        assert hidden not in printed
    assert max(map(len, printed.splitlines())) <= 60
    together = re.sub(r"[\s─]", "", printed)
    assert re.sub(r"\s", "", plain(text)) in together


@pytest.mark.parametrize("text", FRAMED.values(), ids=FRAMED)
def test_pages_hold_no_markup_of_others(text, tmp_path):
    """Through a run whose method, organ, patient, title and error are that text."""
    columns = {"method": text, "organ": text, "patient": text}
    baseline = [row for row in records() if row["method"] == "p-cam"]
    other = [row | columns | {"method": "other"} for row in maps()]
    rows = make_rows([*(row | columns for row in [*maps(), *baseline]), *other])
    of_maps = rows[rows["protocol"] != "none"]
    dataset = {"title": text, "organs": [text], "caveats": [text]}
    failures = {text: text, f"baseline {text}": text}
    run = run_folder(tmp_path / "r1", rows, of_maps, dataset=dataset, failures=failures)
    page = write_page(run).read_text(encoding="utf-8")
    body = re.sub("<details><summary>[0-9a-z ]+</summary>|</details>", "", page.partition("-->")[2])
    assert not re.search(r"<[A-Za-z/!?]", body)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202e\u2066\u200b]", page)
    for line in body.splitlines():
        assert not line.startswith("#") or "heading" not in line
    for lines in re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines.splitlines()}) == 1
    assert escape(text) in body
    assert "## Ranks of maps" in body
    assert "## The ladder of protocols" in body
    assert len(summary(rows)) >= 2


@pytest.mark.parametrize(
    "words",
    [
        ["ranks"], ["ladder", "--by-method"], ["leaderboard", "--sort", "dsc"],
        ["compare", *(word for name in ("colours", "rich") for word in ("--method", FRAMED[name]))],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_commands_print_names_as_they_were_written(words, tmp_path):
    rows = make_rows([row | {"method": text} for text in FRAMED.values() for row in maps()])
    command, *options = words
    run = str(run_folder(tmp_path / "r1", rows, rows))
    shown = CliRunner().invoke(app, [command, run, *options], env={"COLUMNS": "800"})
    assert shown.exit_code == 0, shown.output
    assert all(letter.isprintable() or letter == "\n" for letter in shown.stdout)
    for text in [word for word in options if word in FRAMED.values()] or FRAMED.values():
        assert plain(text) in shown.stdout


def test_scores_hold_no_markup_either():
    rows = make_rows(
        row | {"method": HOSTILE["script"], "dataset": "a\n# b", "protocol": "fixed", "hd95_mm": 5}
        for row in maps()
        if row["protocol"] == "oracle" and row["subset"] == "test"
    )
    page = scores_page(rows, ("<b>note</b>",))
    assert not re.search(r"<[A-Za-z/!?]", page)
    assert page.startswith("# Scores on a # b\n")


@pytest.mark.parametrize("text", ["$\\frac{$", "a$b", "x" * 300, "a\nb\0c"])
def test_pictures_take_any_name(text, tmp_path):
    image = pd.DataFrame([[0.0, 1.0, 0.5], [0.2, 0.1, 0.9]]).to_numpy()
    mask = image > 0.4
    panel = Panel(text, image, mask, {text: image}, {text: mask}, {text: "1 %"}, 1.0)
    picture([panel]).savefig(tmp_path / "x.png")


def test_reasons_are_one_line_however_an_exception_is_written():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError("no")

    assert reason(ValueError("a\n<b>\x1b[0m")) == "ValueError: a <b>\\x1b[0m"
    assert reason(OddError()) == "OddError: its message cannot be written"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(ValueError("x" * 10**6))) == len("ValueError: ") + 300


NAMES = [
    "acdc", "phantom-cardiac", "Task05_Prostate", "Dataset027_ACDC", "phantom-quick-71f48a01",
    "a", "2024 MR heart", "前列腺", "a..b", "m=1,n=2", "c-cam[cc,ac]", "conic", "x" * 128,
]  # fmt: skip
NO_NAMES = [
    "", " ", ".", "..", "../evil", "/abs", "a/b", "a\\b", "C:\\x", "a:b", ".hidden", "-x", "~",
    "a\0", "a\nb", "a ", "a.", "nul", "NUL.txt", "com1", "a*", "a?", "<a>", 'a"b', "a|b", "$HOME",
    "`x`", "\u202eabc", "x" * 129, None, 3, ["a"],
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    assert require_name(name, "it") == name


@pytest.mark.parametrize("text", NO_NAMES, ids=repr)
def test_what_would_be_a_path_is_no_name(text):
    assert not is_name(text)
    with pytest.raises(ConfigError, match="which is no name: use at most") as refused:
        require_name(text, "the run")
    assert "\n" not in str(refused.value)


def test_no_page_is_written_outside(tmp_path):
    rows = make_rows([row | {"dataset": "../evil"} for row in maps()])
    sound = make_rows(maps())
    run = run_folder(tmp_path / "r1", sound, sound)
    write_rows(rows, run / "rows.parquet")
    with pytest.raises(CamzooError, match=r"\.\./evil"):
        update_leaderboards([run], tmp_path / "a" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["r1"]

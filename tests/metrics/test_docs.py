"""The generated tables of the docs on metrics agree with the code that is here."""

import numpy as np
import pytest

from benchmarks import metric_docs
from benchmarks.results import filled, table, write_section
from benchmarks.timing import interleaved, ratio


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("metrics.md", "definitions"),
        ("protocols.md", "protocols"),
        ("protocols.md", "rules"),
        ("protocols.md", "ladder"),
    ],
)
def test_generated_parts_are_up_to_date(name, part):
    page = (metric_docs.DOCS / name).read_text(encoding="utf-8")
    rows = metric_docs.PAGES[name][part]()
    assert filled(page, part, rows) == page, "run python -m benchmarks.metric_docs"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_measured_differences_are_those_of_the_tools_installed_here():
    page = (metric_docs.DOCS / "metrics.md").read_text(encoding="utf-8")
    rows = metric_docs.tool_rows()
    assert rows
    documented = {tool for tool in (row["tool"] for row in rows) if f"| {tool} |" in page}
    lines = table(rows).splitlines()[2:]
    for line in lines:
        if line.split("|")[1].strip() in documented:
            assert line in page, "run python -m benchmarks.metric_docs"


def test_a_part_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no part tools"):
        filled("nothing", "tools", [])


def test_sections_are_replaced_one_at_a_time_and_stand_in_order(tmp_path):
    page = tmp_path / "RESULTS.md"
    write_section("b", "second\n\n### detail\n\ntext", page)
    write_section("a", "first", page)
    once = page.read_text("utf-8")
    assert once.index("## a\n\nfirst") < once.index("## b\n\nsecond\n\n### detail\n\ntext")
    write_section("b", "second\n\n### detail\n\ntext", page)
    assert page.read_text("utf-8") == once
    write_section("a", "changed", page)
    assert page.read_text("utf-8") == once.replace("first", "changed")
    reverse = tmp_path / "REVERSE.md"
    write_section("a", "changed", reverse)
    write_section("b", "second\n\n### detail\n\ntext", reverse)
    assert reverse.read_text("utf-8") == page.read_text("utf-8")


@pytest.mark.parametrize("text", ["## heading", "text\n# heading"])
def test_a_section_holds_no_heading_that_would_end_it(tmp_path, text):
    with pytest.raises(ValueError, match="one heading"):
        write_section("a", text, tmp_path / "RESULTS.md")


def test_table_escapes_what_would_end_a_cell():
    assert table([{"a": "|x|", "b": 1}]) == "| a | b |\n|---|---|\n| \\|x\\| | 1 |"


def test_interleaved_times_every_function_in_every_round():
    calls, clock = [], iter(range(1000))
    times = interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, lambda: next(clock)
    )
    assert "".join(calls) == "ab" + "ba" + "ab"
    assert [t.tolist() for t in times.values()] == [[1, 1], [1, 1]]
    assert ratio(np.array([2.0, 4.0, 6.0]), np.ones(3)) == "4.00 (3.00 to 5.00)"

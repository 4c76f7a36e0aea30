"""What the docs show works: Python is run, commands and their options are there, links lead on."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from benchmarks import notebook, readme_results
from camzoo.cli.app import command as the_command
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [page.stem for page in PAGES]
#: Above a block that is not run; says why.
SKIPPED = re.compile(r"<!-- not run: (.+) -->\n\Z")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Lines that a block of commands may begin with besides camzoo.
OTHER_COMMANDS = ("make", "pip", "#", "pre-commit")

#: Stands before the epochs of a training, where docs train: a network a tenth as large as theirs.
EPOCHS, LIGHTER = '"training.epochs": ', '"backbone.name": "test_resnet", "training.epochs": '


def lighter(code):
    return code.replace(EPOCHS, LIGHTER)


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    """Blocks of a language that are to be run, with the line they begin at."""
    text = text_of(page)
    for found in BLOCK.finditer(text):
        if found[1] == language and not SKIPPED.search(text[: found.start()]):
            yield text.count("\n", 0, found.start(2)) + 1, found[2]


def commands(page):
    """Command lines of camzoo in blocks and in running text."""
    text = text_of(page)
    for _, block in [*blocks(page, ""), *blocks(page, "bash"), *blocks(page, "sh")]:
        for line in block.replace("\\\n", " ").splitlines():
            if line.removeprefix("$ ").startswith("camzoo "):
                yield line.removeprefix("$ ")
    yield from re.findall(r"^    (camzoo [a-z].*)$", text, re.MULTILINE)
    outside = BLOCK.sub("", text)
    yield from (" ".join(found.split()) for found in re.findall(r"`(camzoo [^`]+)`", outside))


COMMANDS = sorted({(page.stem, line) for page in PAGES for line in commands(page)})


@pytest.mark.slow
def test_python_in_the_docs_runs(tmp_path):
    """Each page from top to bottom, in a namespace of its own and in an empty folder."""
    pages = [
        (page.name, [(line, lighter(code)) for line, code in blocks(page, "python")])
        for page in PAGES
    ]
    assert sum(len(found) for _, found in pages) >= 5
    assert LIGHTER in str(pages)
    script = """
import json, sys
for page, blocks in json.load(sys.stdin):
    names = {"__name__": "__main__"}
    for line, code in blocks:
        exec(compile("\\n" * (line - 1) + code, page, "exec"), names)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(pages), cwd=tmp_path,
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_few_blocks_are_not_run_and_they_say_why():
    why = [
        found for page in PAGES for found in re.findall(r"<!-- not run: (.+) -->", text_of(page))
    ]
    assert len(why) <= 3
    assert all(reason.startswith("needs") for reason in why)


def unknown_word(line):
    """First word of a command line that names no command or option of camzoo; None for none."""
    words = [word for word in shlex.split(line, comments=True)[1:] if word not in ("…", "...")]
    command = the_command()
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return words[0]
        command = command.commands[words.pop(0)]
    options = {option for given in command.params for option in given.opts + given.secondary_opts}
    named = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return next((word for word in named if word not in options | {"--help"}), None)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_commands_in_the_docs_have_the_words_that_they_are_given(page, line):
    assert unknown_word(line) is None


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("camzoo bensh --dataset phantom", "bensh"),
        ("camzoo data bench", "bench"),
        ("camzoo bench --datasets phantom", "--datasets"),
        ("camzoo score --maps DIR --mask=DIR", "--mask"),
        ("camzoo data check NAME -z", "-z"),
        ("camzoo --nothing", "--nothing"),
        ("camzoo data stats NAME --root DIR  # as --is", None),
    ],
)
def test_words_that_camzoo_does_not_have_are_found(line, word):
    assert unknown_word(line) == word


def test_commands_are_found_in_every_place():
    assert len(COMMANDS) > 40
    assert {"README", "metrics", "plugins", "CONTRIBUTING"} <= {page for page, _ in COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_blocks_of_commands_hold_nothing_else(page):
    """So that a page whose commands changed their looks is not passed over."""
    for _, block in [*blocks(page, "bash"), *blocks(page, "sh")]:
        for line in filter(None, block.replace("\\\n", " ").splitlines()):
            assert line.removeprefix("$ ").split()[0] in ("camzoo", *OTHER_COMMANDS), line


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=[*IDS, "CHANGELOG"])
def test_links_lead_to_what_is_there(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", BLOCK.sub("", text_of(page))):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_targets_of_make_that_the_docs_name_are_there():
    targets = set(re.findall(r"^(\w+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {
        word for page in PAGES for word in re.findall(r"(?:^|`)make (\w+)", text_of(page), re.M)
    }
    assert named
    assert named <= targets


def test_make_bench_leaves_the_page_that_the_readme_says_to_open():
    makefile, ignored = text_of(ROOT / "Makefile"), text_of(ROOT / ".gitignore").splitlines()
    (folder,) = re.findall(r"--report (\S+)", makefile.partition("\nbench:")[2])
    assert f"`{folder}/index.html`" in text_of(ROOT / "README.md")
    assert f"/{folder.split('/')[0]}/" in ignored


def test_the_public_names_are_on_the_page_of_plug_ins():
    import camzoo

    page = text_of(ROOT / "docs" / "plugins.md")
    named = set(re.findall(r"`(?:camzoo\.)?(\w+)`", page))
    elsewhere = {
        "bench",
        "BenchConfig",
        "BenchResult",
        "score",
        "Scores",
        "compute_cams",
        "overlay",
    }
    assert set(camzoo.__all__) - elsewhere <= named


def test_the_results_in_the_readme_are_those_of_the_records():
    page = text_of(readme_results.README)
    assert readme_results.fill(page) == page, "run python -m benchmarks.readme_results"
    assert len(page.splitlines()) < 200


@pytest.mark.slow
def test_the_notebook_runs_and_says_what_it_says(tmp_path):
    """Cells in order, in one fresh process; each shows something where its stored outputs do."""
    script = """
import json, sys
from pathlib import Path
from benchmarks.notebook import run
found = [(cell["id"], outputs) for cell, outputs in run(json.load(sys.stdin), Path(sys.argv[1]))]
json.dump(found, sys.stderr)
"""
    written = [(cell, "".join(cell["source"])) for cell in notebook.read()["cells"]]
    assert any(EPOCHS in source for _, source in written)
    cells = [cell | {"source": lighter(source)} for cell, source in written]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], input=json.dumps(cells), cwd=ROOT,
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    fresh = dict(json.loads(done.stderr[done.stderr.index("[[") :]))
    cells = [cell for cell in notebook.read()["cells"] if cell["cell_type"] == "code"]
    assert list(fresh) == [cell["id"] for cell in cells]
    for cell in cells:
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert kinds == [output["output_type"] for output in fresh[cell["id"]]], cell["id"]
    # What no training stands behind is the same everywhere.
    steady = [cell for cell in cells if "surface_distances" in "".join(cell["source"])]
    assert [cell["outputs"] for cell in steady] == [fresh[cell["id"]] for cell in steady]


def test_the_notebook_is_small_and_text_only():
    stored = notebook.read()
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in stored["cells"]]
    assert len(set(ids)) == len(ids)
    counts = [c["execution_count"] for c in stored["cells"] if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)), "run python -m benchmarks.notebook"
    for cell in stored["cells"]:
        for output in cell.get("outputs", []):
            assert set(output.get("data", {})) <= {"text/plain"}
            shown = output.get("text") or output["data"]["text/plain"]
            assert len(shown) <= 20
            assert not re.search(r"0x[0-9a-f]{6,}|/tmp/|/home/|/root/", "".join(shown))

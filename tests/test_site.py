"""The site: it builds, links lead on, and a page loads nothing from elsewhere."""

import os
import re
import subprocess
import sys

import pytest
import yaml

import camzoo
import camzoo.metrics
from benchmarks import site
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("material", reason="needs the extra docs")
    pytest.importorskip("mkdocstrings", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True,
        encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr  # strict: a warning is an error
    assert not done.stderr.strip()
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.html")
    }


@pytest.mark.slow
def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(built):
    sources = {path.stem for path in (ROOT / "docs").glob("*.md")}
    boards = {f"leaderboards/{path.stem}" for path in (ROOT / "leaderboards").glob("*.md")}
    boards = boards - {"leaderboards/README"} | {"leaderboards/index"}
    there = {name.removesuffix(".html") for name in built}
    assert there == sources | boards | {
        "index", "api", "notebook", "contributing", "changelog", "security", "timings", "404",
    }  # fmt: skip
    assert not re.search(r"^\s+README$", built["index.html"], re.MULTILINE)  # menus have titles
    for name, page in built.items():
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"([^\"]+)\"", page)
        assert loaded, name
        outside = [url for url in loaded if re.match(r"(?:https?:)?//", url)]
        assert outside == [], name


@pytest.mark.slow
def test_the_reference_has_every_public_name(built):
    named = set(re.findall(r'<h3 id="[\w.]*?(\w+)"', built["api.html"]))
    public = {*camzoo.__all__, *camzoo.metrics.__all__} - {"metrics", "registries"}
    assert public <= named
    assert not re.search(r":(?:meth|class|func|mod):", built["api.html"])


THERE = {"index.md", "metrics.md", "gallery.png", "leaderboard.md", "leaderboards/acdc.md"}


@pytest.mark.parametrize(
    ("page", "text", "shown"),
    [
        ("index.md", "[a](docs/metrics.md#x)", "[a](metrics.md#x)"),
        ("index.md", "![p](docs/gallery.png)", "![p](gallery.png)"),
        ("index.md", "[all](leaderboards/)", "[all](leaderboard.md)"),
        ("index.md", "[`code`](camzoo/presets.py)", "`code`"),
        ("metrics.md", "[a](../README.md) [b](#c)", "[a](index.md) [b](#c)"),
        ("metrics.md", "[a](../leaderboards/acdc.md)", "[a](leaderboards/acdc.md)"),
        ("leaderboards/acdc.md", "[a](../docs/metrics.md)", "[a](../metrics.md)"),
        ("metrics.md", "[a](https://camzoo.example/x.md)", "[a](https://camzoo.example/x.md)"),
        ("metrics.md", "`maps[a](view)`\n```\nx[b](y)\n```", "`maps[a](view)`\n```\nx[b](y)\n```"),
    ],
)
def test_links_of_the_repository_lead_through_the_site(page, text, shown):
    assert site.relinked(text, page, THERE) == shown


def test_the_notebook_becomes_a_page():
    page = site.shown_notebook(ROOT / "docs" / "start.ipynb")
    assert page.startswith("# camzoo in ten minutes\n")
    assert "```python\n" in page
    assert "```text\n" in page
    assert page.count("```") % 2 == 0


def test_every_page_stands_once_in_the_menu_and_a_warning_ends_the_build():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["strict"] is True
    assert config["theme"]["font"] is False
    pages = re.findall(r"[\w/-]+\.md", str(config["nav"]))
    assert len(set(pages)) == len(pages)
    made = {"api.md", *(page for page in site.ORIGINS if not page.startswith("leaderboards/"))}
    assert set(pages) == made | {path.name for path in (ROOT / "docs").glob("*.md")}

"""Pages of the site that lie elsewhere than in docs, or nowhere: a hook of mkdocs (``mkdocs.yml``).

The README, the leaderboards and other pages are shown from where the repository has them, the
notebook and the reference of the public names are made when the site is. So nothing is kept twice.
Links are those of the repository: here they are turned to where the site has the same page, and
what the site does not have, as source code, becomes text.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
#: Path in the repository -> page of the site. All else in docs is where mkdocs finds it.
PLACES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/RESULTS.md": "timings.md",
    "docs/start.ipynb": "notebook.md",
    "leaderboards": "leaderboard.md",
    **{
        path.relative_to(ROOT).as_posix(): f"leaderboards/{path.name}"
        for path in sorted((ROOT / "leaderboards").glob("*.md"))
    },
}
ORIGINS = {page: source for source, page in PLACES.items() if source != "leaderboards"}
#: Code, in blocks and in lines, is passed over; else the text of a link and where it leads.
_LINK = re.compile(
    r"^```.*?^```$|`[^`\n]+`|\[(?P<text>[^\]]*)\]\((?P<to>[^)\s]+)\)", re.MULTILINE | re.DOTALL
)
#: In front of a name in code, as a page shows it.
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):(?=<code>)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add a page per leaderboard to those that say how to read one."""
    pages = [page for page in ORIGINS if page.startswith("leaderboards/")]
    (section,) = (part["Leaderboards"] for part in config.nav if "Leaderboards" in part)
    titles = {page: posixpath.basename(page).removesuffix(".md") for page in pages}
    titles |= {"leaderboards/README.md": "All data sets"}
    section += [{title: page} for page, title in titles.items()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in the folder of docs."""
    from mkdocs.structure.files import File

    for page, source in ORIGINS.items():
        path = ROOT / source
        text = shown_notebook(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "api.md", content=reference()))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Turn the links of a page to the pages of the site."""
    there = {file.src_uri for file in files}
    return relinked(markdown, page.file.src_uri, there)


def on_page_content(html: str, **_: object) -> str:
    """Leave out of docstrings what Sphinx reads as the kind of a name, as ``:meth:``."""
    return _ROLE.sub("", html)


def relinked(markdown: str, page: str, there: set[str]) -> str:
    """Return the text of a page with links that lead through the site.

    Args:
        markdown: The text as the repository has it.
        page: Which page of the site it becomes.
        there: All pages and pictures of the site.
    """
    folder = posixpath.dirname(ORIGINS.get(page, f"docs/{page}"))

    def turned(found: re.Match[str]) -> str:
        to = found["to"]
        if to is None or to.startswith("#") or "://" in to:
            return found[0]
        target, hash_, fragment = to.partition("#")
        target = posixpath.normpath(posixpath.join(folder, target))
        target = PLACES.get(target, target.removeprefix("docs/"))
        if target not in there:
            return found["text"]
        way = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f"[{found['text']}]({way}{hash_}{fragment})"

    return _LINK.sub(turned, markdown)


def shown_notebook(path: Path) -> str:
    """Return a notebook whose outputs are text as a page."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            text = output.get("text") or output["data"]["text/plain"]
            parts.append(f"```text\n{''.join(text).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def reference() -> str:
    """Return the page of all public names, by the room of the house that they live in."""
    import camzoo.metrics
    from camzoo.core.lazy import homes_of

    rooms = defaultdict(set)
    for face in (camzoo.__name__, camzoo.metrics.__name__):
        for name, home in homes_of(face).items():
            # The first is below, name by name; the second holds what is registered.
            if f"{face}.{name}" not in ("camzoo.metrics", "camzoo.registries"):
                is_module = home.endswith(f".{name}")
                rooms[home.split(".")[1]].add(home if is_module else f"{face}.{name}")
    parts = [
        """# Public names

All that `camzoo` and `camzoo.metrics` list, under the part of the package that has it. What is not
here may move from one version to the next."""
    ]
    for room in sorted(rooms):
        parts.append(f"## {room}")
        parts += [f"::: {path}" for path in sorted(rooms[room])]
    return "\n\n".join(parts) + "\n"

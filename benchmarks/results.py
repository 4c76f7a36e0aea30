"""Measured numbers in one page: named sections that are replaced one at a time."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from pathlib import Path

from camzoo.core.environment import processor

RESULTS = Path(__file__).parent / "RESULTS.md"
_TITLE = "# Benchmark results\n\nWritten by the benchmarks (`make benchmarks`), never by hand.\n"
_SECTION = re.compile(r"^## (?P<name>.+?)\n+(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def write_section(name: str, markdown: str, path: Path = RESULTS) -> None:
    """Write or replace the section ``name``; sections stand in the order of their names.

    Args:
        name: Heading of the section, one line.
        markdown: Its text, without headings of the first or second level.
        path: The page.
    """
    if "\n" in name or re.search(r"^##? ", markdown, re.MULTILINE):
        raise ValueError(f"section {name!r}: a section is one heading and text below it")
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    sections = {part["name"]: part["body"].strip() for part in _SECTION.finditer(page)}
    sections[name] = markdown.strip()
    parts = [f"## {key}\n\n{sections[key]}\n" for key in sorted(sections)]
    path.write_text("\n".join([_TITLE, *parts]), encoding="utf-8")


def machine(*packages: str) -> str:
    """Return one line that says on what was measured: Python, packages, processor, threads."""
    import torch

    versions = [f"{name} {version(name)}" for name in packages]
    python = f"Python {platform.python_version()}"
    threads = torch.get_num_threads()
    plural = "s" if threads > 1 else ""
    return f"{', '.join([python, *versions])}; {processor()}, {threads} thread{plural}"


def table(rows: list[dict[str, object]]) -> str:
    """Return rows as a markdown table; the keys of the first row are the columns."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(map(_cell, row.values())) + " |" for row in rows]
    return "\n".join(lines)


def filled(page: str, part: str, rows: list[dict[str, object]]) -> str:
    """Return a page with rows as the table between its marks ``begin`` and ``end`` of a part."""
    place = re.compile(rf"(<!-- begin {part} -->\n).*?(<!-- end {part} -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"the page has no part {part}")
    text = table(rows)
    return place.sub(lambda m: f"{m[1]}{text}\n{m[2]}", page)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")

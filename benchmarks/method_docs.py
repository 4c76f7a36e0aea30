"""Writes the table of docs/methods.md from the registry: ``python -m benchmarks.method_docs``."""

from __future__ import annotations

import inspect
from pathlib import Path

from benchmarks.results import filled
from camzoo.core.registry import defaults
from camzoo.core.spec import written
from camzoo.registries import cams

DOCS = Path(__file__).parent.parent / "docs" / "methods.md"


def rows():
    """Return a row per native method: name, what it computes, source, and what it costs."""
    found = []
    for name in cams.names():
        method = cams.get(name)
        # What other packages add is theirs to document.
        if name.startswith("gradcam:") or not method.__module__.startswith("camzoo.cams."):
            continue
        found.append(
            {
                "name": f"`{name}`",
                "map": " ".join((inspect.getdoc(method) or "").split("\n\n")[0].split()),
                "source": method.paper,
                "runs besides the shared pass": method.cost,
                "settings": " ".join(f"`{text}`" for text in written(defaults(method))) or "none",
                "per class": "yes" if method.class_specific else "no",
                "learns": "yes" if method.needs_fit else "no",
            }
        )
    return found


def fill(page: str) -> str:
    """Replace the generated table of a page."""
    return filled(page, "methods", rows())


if __name__ == "__main__":
    DOCS.write_text(fill(DOCS.read_text(encoding="utf-8")), encoding="utf-8")

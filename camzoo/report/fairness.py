"""The page docs/fairness.md: what every row was given, as presets and classes say of themselves.

Registries and the docstrings beside the code are all that is read, of plug-ins as well.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

from camzoo.config import BenchConfig
from camzoo.core.outline import UnreadableError, outline_class
from camzoo.core.registry import Registry
from camzoo.core.spec import written
from camzoo.presets import PRESETS, preset
from camzoo.registries import baselines, cams, datasets, steps

_HEAD: Final = """# Fairness

What every row of a table was given, made by `camzoo list --fairness` from what presets, methods and
baselines say of themselves.

- One classifier per fold and seed, trained before any method is asked, gives all maps. Steps and
  baselines that train something start from it, or say otherwise below.
- Whatever trains a network learns by one of the two recipes of the preset, the classifier's or the
  U-Net's, for as many steps, unless a setting of its own (`epochs`, `lr`) says otherwise.
- Masks of validation patients choose thresholds of the protocol `validated`, and no weights.
- *Tuned on masks* is what was compared by means of masks before a setting became the default, and
  on whose, as the class declares it. In an empty cell no such comparison is declared.
- Where the steps of C-CAM differ from its authors' later code stands in [ccam.md](ccam.md).
"""
#: A list that follows such a line, in the docstring of a class or of its module.
_DEPARTURES: Final = re.compile(
    r"What (?:differs from|is not as in) the paper[^:]*:\n\n((?:- .*\n?(?: .+\n?)*)+)"
)


def markdown() -> str:
    """Return the page."""
    parts = [_HEAD, *_recipes(), *_kind("Baselines", baselines), *_kind("Steps", steps)]
    return "\n".join([*parts, *_kind("CAM methods", cams)]).rstrip("\n") + "\n"


def departures(place: str) -> list[str]:
    """Return in what a class says that it differs from its paper, each in one line.

    Args:
        place: ``module:Class``.
    """
    try:
        outline = outline_class(place)
    except UnreadableError:
        return []
    for node in (outline.node, outline.module.tree):
        found = _DEPARTURES.search(f"{ast.get_docstring(node)}\n")
        if found:
            return [" ".join(item.split()) for item in re.split(r"^- ", found[1], flags=re.M)[1:]]
    return []


def _recipes() -> Iterator[str]:
    """How long presets train, and what they say of where that comes from."""
    yield "## Presets\n"
    yield "| preset | data | classifier | U-Net |\n|---|---|---|---|"
    for name in PRESETS:
        alike: dict[tuple[str, str], list[str]] = {}
        for dataset in datasets.names():
            alike.setdefault(_lengths(preset(name, dataset)), []).append(dataset)
        for (classifier, unet), of in alike.items():
            yield _row(f"`{name}`", ", ".join(of), classifier, unet)
    yield ""
    for name, make in PRESETS.items():
        yield f"- `{name}`: {' '.join((inspect.getdoc(make) or '').split())}"
    yield ""


def _lengths(config: BenchConfig) -> tuple[str, str]:
    classifier, unet = (
        f"{of.epochs} epochs{f', at least {of.steps} steps' if of.steps else ''}, batch {of.batch}"
        for of in (config.training, config.segmentation)
    )
    return classifier, unet


def _kind(title: str, registry: Registry[Any]) -> Iterator[str]:
    """A table of what a registry holds, and in what each differs from its paper."""
    told = {n: registry.describe(n) for n in registry.names() if not n.startswith("gradcam:")}
    yield f"## {title}\n"
    yield "| name | sees | learns or runs | settings | tuned on masks |\n|---|---|---|---|---|"
    for name, each in told.items():
        given = {key: value for key, value in each.settings.items() if value is not None}
        settings = " ".join(f"`{text}`" for text in written(given))
        sees, cost, tuned = (each.facts.get(f, "") for f in ("supervision", "cost", "tuned"))
        yield _row(f"`{name}`", sees, cost, settings, tuned)
    yield ""
    for name, each in told.items():
        if items := departures(registry.place(name)):
            yield f"`{name}`, from {each.facts.get('paper')}:\n"
            yield "\n".join(f"- {item}" for item in items) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

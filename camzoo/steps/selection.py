"""From what a user writes after ``--methods`` to the methods of a run."""

from __future__ import annotations

from typing import Final

from camzoo.cams.registry import cams
from camzoo.core.errors import ConfigError
from camzoo.core.spec import split_names, split_settings
from camzoo.steps.chain import NAMED, parse_chain

#: Sets of methods that have a name of their own.
SETS: Final[dict[str, tuple[str, ...]]] = {
    # The paper's Table 1, then the controls of its parts, then both with an oracle's context map.
    "ablation": (
        "cam", "p-cam[aff]", "c-cam[ac]", "c-cam[cc]", "c-cam[cc,ac]", "c-cam",
        "positives-only", "prior-only", "centre",
        "cam[blend]:weight=0.1", "cam[blend]:weight=0.3", "cam[blend]:weight=1",
        "c-cam[ac]:tau=0.01", "c-cam[ac]:tau=0.05", "c-cam[ac]:tau=0.1", "c-cam[ac]:tau=0.25",
        "c-cam[ac]:rule=winner",
        "prior-only:map=B", "c-cam[ac]:map=B", "c-cam[cc]:map=B", "c-cam[cc,ac]:map=B",
        "c-cam:map=B",
    ),
    # The paper's Table 2, whose last row has the affinity refinement that no other has.
    "table2": (
        "cam", "grad-cam", "grad-cam++", "ablation-cam", "eigen-cam", "layer-cam",
        "c-cam", "c-cam[cc,ac]", "c-cam:map=B", "c-cam[cc,ac]:map=B",
        "positives-only", "prior-only", "prior-only:map=B", "centre", "otsu", "random",
    ),
}  # fmt: skip


def select_methods(text: str) -> tuple[str, ...]:
    """Return the methods named in ``text``: names separated by commas, sets, patterns, or "all".

    A name may have steps (:mod:`camzoo.steps.chain`); "ablation" and "table2" are sets of them.
    "all" leaves out the wrapped classes of other libraries (``gradcam:…``), which are second
    versions of methods that are there; a pattern brings them in.

    Raises:
        ConfigError: A name or pattern fits nothing.
    """
    chosen: dict[str, None] = {}
    for part in split_names(text):
        chosen.update(dict.fromkeys(_named(part)))
    if not chosen:
        raise ConfigError("--methods names no method; camzoo list cams shows all")
    return tuple(chosen)


def is_several(part: str) -> bool:
    """Say whether ``part`` is a set, "all" or a pattern, and no name of one method."""
    return part in SETS or part == "all" or any(m in split_settings(part)[0] for m in "*?")


def _named(part: str) -> list[str]:
    if part in SETS:
        return [str(parse_chain(name)) for name in SETS[part]]
    if part == "all":
        return [name for name in cams.names() if ":" not in name] + [
            name for name in NAMED if parse_chain(name).steps
        ]
    if is_several(part):
        found = cams.names(part)
        if not found:
            raise ConfigError(f"no CAM method fits {part!r}; camzoo list cams shows all")
        return found
    return [str(parse_chain(part))]

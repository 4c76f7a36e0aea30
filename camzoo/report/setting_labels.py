"""Short labels that tell apart what was made with different settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_WEIGHTS: Final = "weights"
#: Settings that readers know by their value, in the order in which they tell configurations apart.
_BY_VALUE: Final = ("backbone.name", _WEIGHTS)
#: Settings that come next, by their last word; then all others.
_STEPS: Final = "training.steps"
_EPOCHS: Final = "training.epochs"
_KNOWN: Final = (_STEPS, _EPOCHS, "data.split", "data.slices")
_NOT_SET: Final = "not set"


def labels(settings: Sequence[Mapping[str, str]], presets: Sequence[str]) -> list[str]:
    """Return a label for each: as few of the settings that differ as tell all apart.

    Args:
        settings: Of each configuration, by dotted name, no two the same.
        presets: What each is called; these tell them apart where no two have the same.

    Example:
        >>> labels([{"maps.side": "96"}, {"maps.side": "64"}], ["quick", "quick"])
        ['side 96', 'side 64']
    """
    if len(settings) < 2:
        return [""] * len(settings)
    if len(set(presets)) == len(presets):
        return list(presets)
    names = dict.fromkeys(name for mine in settings for name in mine)
    wanted = [*(n for n in (*_BY_VALUE, *_KNOWN) if n in names), *names]
    if len({mine.get(_WEIGHTS, _NOT_SET).partition(" (")[0] for mine in settings}) == 1:
        # Files of one name tell nothing to readers: their contents only where nothing else does.
        wanted = [*(n for n in wanted if n != _WEIGHTS), *(n for n in names if n == _WEIGHTS)]
    found: list[tuple[str, ...]] = [(preset,) * (len(set(presets)) > 1) for preset in presets]
    for name in dict.fromkeys(wanted):
        values = [mine.get(name, _NOT_SET) for mine in settings]
        more = [
            (*label, value if name in _BY_VALUE else _told(name, value, mine))
            for label, value, mine in zip(found, values, settings, strict=True)
        ]
        if len(set(more)) > len(set(found)):
            found = more
    return [", ".join(label) for label in found]


def _told(name: str, value: str, settings: Mapping[str, str]) -> str:
    """A setting by its last word. Without a fewest number of steps, epochs say how long it was."""
    if name == _STEPS and value == "0" and _EPOCHS in settings:
        name, value = _EPOCHS, settings[_EPOCHS]
    return f"{name.rpartition('.')[2]} {value}"

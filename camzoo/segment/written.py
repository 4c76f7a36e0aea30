"""Baselines as one writes them: a name, and settings that differ from its defaults.

``sizeloss:weight=0.1`` is SizeLoss with another argument of its constructor, and
``p-cam:method=layer-cam`` trains the U-Net on other maps. Quotes keep what is a setting of the maps
together: ``irnet:method="cam[aff]:beta=5"``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from camzoo.core.errors import ConfigError
from camzoo.core.pairs import parse_pairs
from camzoo.core.registries import baselines
from camzoo.core.settings import require_like, written
from camzoo.core.suggest import unknown
from camzoo.steps.chain import parse_chain

if TYPE_CHECKING:
    from camzoo.segment.base import Baseline

#: In front of a setting, and in no quotes.
_SEPARATOR: Final = re.compile(r':(?=\w+=)(?=(?:[^"]*"[^"]*")*[^"]*$)')


@dataclass(frozen=True)
class WrittenBaseline:
    """A baseline and its settings.

    Attributes:
        name: In the registry.
        settings: That differ from the defaults.
    """

    name: str
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return ":".join([self.name, *written(self.settings)])

    @property
    def variant(self) -> str:
        """Its settings, as rows and tables have them."""
        return " ".join(written(self.settings))

    @property
    def line(self) -> str:
        """How tables call it."""
        from camzoo.evaluate.rows import line_name

        return line_name(self.name, self.variant)

    @property
    def kind(self) -> type[Baseline]:
        """Its class."""
        return baselines.get(self.name)

    def build(self) -> Baseline:
        """Construct it.

        Raises:
            ConfigError: A value is out of its range, or the maps that it is to read are of no
                method.
        """
        baseline = self.kind(**self.settings)
        for method in baseline.reads:
            try:
                parse_chain(method)
            except ConfigError as error:
                raise ConfigError(f"baseline {self} reads maps of {method!r}: {error}") from error
        return baseline


def parse_baseline(text: str) -> WrittenBaseline:
    """Read a baseline; it is neither imported nor constructed yet.

    Raises:
        UnknownNameError: No such baseline.
        ConfigError: It has no such setting, or the setting takes values of another type.
    """
    name, *pieces = _SEPARATOR.split(text)
    baselines.require(name)
    settings = parse_pairs(name, pieces)
    description = baselines.describe(name)
    if settings and description.fault:
        raise ConfigError(description.fault)
    known = description.settings
    for key, value in settings.items():
        if key not in known:
            raise unknown("setting", key, known, of=f"baseline {name}")
        require_like(name, key, value, known[key])
    told = {key: value for key, value in sorted(settings.items()) if value != known[key]}
    return WrittenBaseline(name, told)

"""The registry of data sets. Importing it costs nothing: they are imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.registry import Registry, built_in

if TYPE_CHECKING:
    from camzoo.data.datasets.base import Dataset

datasets: Registry[type[Dataset]] = Registry(
    "data set",
    group="camzoo.datasets",
    base="camzoo.data.datasets.base:Dataset",
    facts=("facts.title", "facts.licence", "facts.where", "facts.citation"),
    sources=[built_in("camzoo.data.datasets", "register_dataset")],
)

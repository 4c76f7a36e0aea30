"""From a grid to runs: one per data set and backbone, each a full product of folds and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from camzoo.config import BenchConfig
from camzoo.core.errors import ConfigError
from camzoo.core.suggest import unknown
from camzoo.harness.configure import configure
from camzoo.harness.context import Place, places
from camzoo.harness.grid.file import BackboneTable, DataTable, Exclusion, Grid
from camzoo.segment.selection import select_baselines
from camzoo.steps.selection import select_methods


@dataclass(frozen=True)
class GridRun:
    """A run of a grid.

    Attributes:
        label: What the grid calls it: data set, backbone, and which part where there are several.
        config: Its configuration.
    """

    label: str
    config: BenchConfig


@dataclass(frozen=True)
class _Product:
    """A data set and a backbone with all folds, seeds, methods and baselines."""

    data: str
    backbone: str
    label: str
    config: BenchConfig


def expand(grid: Grid) -> list[GridRun]:
    """List the runs of a grid.

    An exclusion that makes cells differ in their methods, or that takes a corner out of the product
    of folds and seeds, splits a run: every run is a full product.

    Raises:
        ConfigError: A setting or a name is wrong, an exclusion fits nothing, nothing is left, or
            two runs are one.
    """
    try:
        products = [
            _product(grid, data, backbone)
            for data in grid.data
            for backbone in grid.backbone or (None,)
        ]
        exclusions = [_selected(each) for each in grid.exclude]
        _require_values(products, exclusions)
        for written, each in zip(grid.exclude, exclusions, strict=True):
            _require_effect(products, written, each)
        runs = [run for product in products for run in _parts(product, exclusions)]
        _require_runs(runs)
    except ConfigError as error:
        raise ConfigError(f"{grid.path}: {error}") from error
    return runs


def rectangles(places: Iterable[Place]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Divide cells into full products: folds that have the same seeds go together.

    Returns:
        Folds and seeds of each product.
    """
    seeds: dict[int, list[int]] = {}
    for place in places:
        seeds.setdefault(place.fold, []).append(place.seed)
    folds: dict[tuple[int, ...], list[int]] = {}
    for fold, some in seeds.items():
        folds.setdefault(tuple(some), []).append(fold)
    return [(tuple(some), own) for own, some in folds.items()]


def _product(grid: Grid, data: DataTable, backbone: BackboneTable | None) -> _Product:
    changes: dict[str, Any] = {**grid.settings, **data.settings}
    if backbone is not None:
        changes |= {**backbone.settings, "backbone.name": backbone.name}
        if backbone.weights is not None:
            changes["backbone.weights"] = backbone.weights
    changes |= {f"data.options.{key}": value for key, value in data.options.items()}
    named = {
        "data.root": data.root, "data.folds": data.folds, "seeds": grid.seeds,
        "data.test": data.test, "data.test_root": data.test_root,
        "methods": grid.methods, "baselines": grid.baselines, "plugins": grid.plugins,
    }  # fmt: skip
    changes |= {key: value for key, value in named.items() if value is not None}
    label = ", ".join([data.called, *([backbone.called] if backbone else [])])
    try:
        config = configure(data.name, grid.preset, changes=changes)
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from error
    called = backbone.called if backbone else config.backbone.name
    return _Product(data.called, called, label, config)


def _selected(exclusion: Exclusion) -> Exclusion:
    """The same with methods and baselines as configurations name them."""
    methods = select_methods(",".join(exclusion.method)) if exclusion.method else ()
    baselines = select_baselines(",".join(exclusion.baseline)) if exclusion.baseline else ()
    return exclusion.model_copy(update={"method": methods, "baseline": baselines})


def _require_values(products: Iterable[_Product], exclusions: Iterable[Exclusion]) -> None:
    """Refuse an exclusion with a value that the grid has nowhere."""
    known: dict[str, dict[Any, None]] = {key: {} for key in Exclusion.model_fields}
    for product in products:
        config = product.config
        has = {
            "data": (product.data,), "backbone": (product.backbone,), "seed": config.seeds,
            "fold": config.data.folds, "method": config.methods, "baseline": config.baselines,
        }  # fmt: skip
        for key, values in has.items():
            known[key] |= dict.fromkeys(values)
    for exclusion in exclusions:
        for key, there in known.items():
            for value in getattr(exclusion, key):
                if value not in there:
                    raise unknown(f"{key} of an exclusion", str(value), map(str, there))


def _require_effect(products: Iterable[_Product], written: Exclusion, exclusion: Exclusion) -> None:
    """Refuse an exclusion of which the parts are there, but never together."""
    for product in products:
        config = product.config
        if any(exclusion.covers(product.data, product.backbone, at) for at in places(config)) and (
            exclusion.of_cells
            or {*exclusion.method} & {*config.methods}
            or {*exclusion.baseline} & {*config.baselines}
        ):
            return
    keys = written.model_dump(exclude_defaults=True)
    text = ", ".join(f"{key} {' or '.join(map(str, some))}" for key, some in keys.items())
    raise ConfigError(f"the exclusion of {text} fits nothing in the grid; take it out")


def _parts(product: _Product, exclusions: Iterable[Exclusion]) -> Iterator[GridRun]:
    """The runs of a data set and a backbone."""
    config = product.config
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Place]] = {}
    for place in places(config):
        mine = [e for e in exclusions if e.covers(product.data, product.backbone, place)]
        if any(e.of_cells for e in mine):
            continue
        without = {name for e in mine for name in (*e.method,)}
        untrained = {name for e in mine for name in (*e.baseline,)}
        methods = tuple(name for name in config.methods if name not in without)
        if not methods:
            raise ConfigError(
                f"the exclusions leave {product.label}, {place} without a method; leave one, or "
                "exclude the cell"
            )
        baselines = tuple(name for name in config.baselines if name not in untrained)
        alike.setdefault((methods, baselines), []).append(place)
    parts = [(names, *part) for names, some in alike.items() for part in rectangles(some)]
    for number, ((methods, baselines), folds, seeds) in enumerate(parts, 1):
        which = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        changes = {
            "methods": methods, "baselines": baselines, "data.folds": folds, "seeds": seeds
        }  # fmt: skip
        yield GridRun(product.label + which, config.changed(changes))


def _require_runs(runs: Iterable[GridRun]) -> None:
    seen: dict[str, str] = {}
    for run in runs:
        content = run.config.model_dump_json()
        if content in seen:
            raise ConfigError(f"{seen[content]} and {run.label} are the same run; take one out")
        seen[content] = run.label
    if not seen:
        raise ConfigError("nothing is left of the grid; take an exclusion out")

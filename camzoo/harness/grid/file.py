"""A file of a grid: which data sets, backbones, folds, seeds, methods and baselines are crossed.

.. code-block:: toml

    preset = "quick"
    seeds = [0, 1, 2]
    methods = ["cam", "c-cam"]

    [[data]]
    name = "acdc"
    root = "ACDC"

    [[backbone]]
    name = "resnet50"

    [[exclude]]
    backbone = "resnet50"
    seed = [1, 2]

Paths are relative to the folder of the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from camzoo.config import Folder, Option, OptionName, Seed
from camzoo.core.errors import ConfigError
from camzoo.core.ranges import Name, Several, Text, Whole, in_one_line, refusal
from camzoo.core.settings_files import dotted_settings
from camzoo.core.suggest import unknown
from camzoo.core.text import LONGEST, plain
from camzoo.harness.context import Place


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | int) else value


def _dotted(value: object) -> object:
    return dict(dotted_settings(value)) if isinstance(value, dict) else value


Fold = Annotated[int, Whole(0, 999)]
Label = Annotated[str, Text("a label")]
Words = Annotated[tuple[Annotated[str, Text("a name")], ...], BeforeValidator(_listed), Several(0)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_listed), Several()]
Folds = Annotated[tuple[Fold, ...], BeforeValidator(_listed), Several()]
Settings = Annotated[dict[str, Any], BeforeValidator(_dotted), Field(alias="set")]

#: Settings that a grid has keys of its own for.
_OWN_KEYS: Final = {
    "preset": "preset",
    "seeds": "seeds",
    "methods": "methods",
    "baselines": "baselines",
    "plugins": "plugins",
    "data.name": "name in [[data]]",
    "data.root": "root in [[data]]",
    "data.folds": "folds in [[data]]",
    "data.options": "options in [[data]]",
    "data.test": "test in [[data]]",
    "data.test_root": "test_root in [[data]]",
    "backbone.name": "name in [[backbone]]",
    "backbone.weights": "weights in [[backbone]]",
}


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _WithSettings(_Table):
    settings: Settings = {}

    @model_validator(mode="after")
    def _no_keys_of_the_grid(self) -> Self:
        for name, value in self.settings.items():
            group = ".".join(name.split(".")[:2])
            if group in _OWN_KEYS:
                raise refusal(f"is written as {_OWN_KEYS[group]}", f"set.{name}", value)
        return self


class DataTable(_WithSettings):
    """A data set of a grid.

    Attributes:
        name: Registry name.
        label: What the grid calls it, where it has one data set twice; else its name.
        root: Folder with its files.
        folds: Folds to run; None leaves them to the preset.
        options: Constructor options.
        test: Another data set that its runs are tested on; None tests on its own patients.
        test_root: Folder with the files of that one.
        settings: Settings of its runs; these count over those of the grid.
    """

    name: Annotated[str, Text("the name of a data set")]
    label: Label = ""
    root: Folder | None = None
    folds: Folds | None = None
    options: dict[OptionName, Option] = {}
    test: Annotated[str, Text("the name of a data set")] | None = None
    test_root: Folder | None = None

    @property
    def called(self) -> str:
        """What the grid calls it."""
        return self.label or self.name


class BackboneTable(_WithSettings):
    """A backbone of a grid.

    Attributes:
        name: Any timm model.
        label: What the grid calls it, where it has one backbone twice; else its name.
        weights: "imagenet", "none" or a file; None leaves them to the preset.
        settings: Settings of its runs; these count over those of the data set.
    """

    name: Annotated[str, Text("the name of a timm model")]
    label: Label = ""
    weights: Annotated[str, Text("imagenet, none or the path of a file")] | None = None

    @property
    def called(self) -> str:
        """What the grid calls it."""
        return self.label or self.name


class Exclusion(_Table):
    """What a grid leaves out: where all of its keys fit; of several values of a key, any.

    Attributes:
        data: Labels of data sets; () is all, here and below.
        backbone: Labels of backbones.
        seed: Seeds.
        fold: Folds.
        method: CAM methods; without them and without baselines, the cell is left out as a whole.
        baseline: Baselines.
    """

    data: Words = ()
    backbone: Words = ()
    seed: Annotated[tuple[Seed, ...], BeforeValidator(_listed), Several(0)] = ()
    fold: Annotated[tuple[Fold, ...], BeforeValidator(_listed), Several(0)] = ()
    method: Words = ()
    baseline: Words = ()

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not any(getattr(self, key) for key in type(self).model_fields):
            raise refusal(f"takes one or more of {', '.join(type(self).model_fields)}", "exclude")
        if self.method and self.baseline:
            text = "takes methods or baselines: write two exclusions"
            raise refusal(text, "baseline", self.baseline)
        return self

    @property
    def of_cells(self) -> bool:
        """Whether cells are left out as a whole."""
        return not self.method and not self.baseline

    def covers(self, data: str, backbone: str, place: Place) -> bool:
        """Whether it speaks of a cell."""
        pairs: Iterable[tuple[tuple[object, ...], object]] = (
            (self.data, data), (self.backbone, backbone),
            (self.seed, place.seed), (self.fold, place.fold),
        )  # fmt: skip
        return all(not wanted or value in wanted for wanted, value in pairs)


class Grid(_WithSettings):
    """A grid, as it is written.

    Attributes:
        preset: Preset of all runs.
        seeds: Seeds of training; None leaves them to the preset.
        methods: CAM methods, and all that ``--methods`` takes.
        baselines: Baselines, and all that ``--baselines`` takes.
        plugins: Classes of one's own, ``module:Class`` or ``path/to/file.py:Class``.
        settings: Settings of all runs.
        data: Data sets.
        backbone: Backbones; without any, that of the preset.
        exclude: What is left out.
        path: The file.
    """

    preset: Annotated[str, Name()] = "quick"
    seeds: Seeds | None = None
    methods: Words = ("cam",)
    baselines: Words = ()
    plugins: Words = ()
    data: tuple[DataTable, ...]
    backbone: tuple[BackboneTable, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    path: Path = Field(exclude=True)


def read_grid(path: Path) -> Grid:
    """Read the file of a grid.

    Raises:
        ConfigError: It cannot be read, a key or a value is wrong, a name is there twice, or a path
            holds what a shell would put something in the place of.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as a grid: {plain(error, LONGEST)}") from error
    try:
        _require_keys(tree)
        grid = Grid(**{**tree, "path": path})
        _require_labels("data", [table.called for table in grid.data])
        _require_labels("backbone", [table.called for table in grid.backbone])
        return _placed(grid)
    except ValidationError as error:
        raise ConfigError(f"{path}: {in_one_line(error, '')}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _require_keys(tree: Mapping[str, Any]) -> None:
    """Refuse keys that no table has, with those that were meant, and tables without a name."""
    tables: dict[str, type[_Table]] = {
        "data": DataTable, "backbone": BackboneTable, "exclude": Exclusion
    }  # fmt: skip
    _require_known("key", tree, set(_keys(Grid)) - {"path"})
    for name, kind in tables.items():
        found = tree.get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise ConfigError(f"{name} is written as tables of its own, each under [[{name}]]")
        for number, each in enumerate(found, 1):
            _require_known(f"key of [[{name}]]", each, _keys(kind))
            if "name" in kind.model_fields and "name" not in each:
                raise ConfigError(f"[[{name}]] number {number} has no name")
    if not tree.get("data"):
        raise ConfigError("it names no data set; write [[data]] and, below it, name = …")


def _keys(kind: type[_Table]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _require_known(what: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            raise unknown(what, key, sorted(known))


def _require_labels(kind: str, labels: list[str]) -> None:
    again = next((label for i, label in enumerate(labels) if label in labels[:i]), None)
    if again is not None:
        raise ConfigError(f"[[{kind}]] {again} is there twice; give one of them another label")


def _placed(grid: Grid) -> Grid:
    """The grid with paths from the root of the disk: its runs are begun from other folders, too."""
    folder = grid.path.absolute().parent

    def placed(where: str, text: str) -> Path:
        if text.startswith("~") or "$" in text:
            raise ConfigError(
                f"{where} {text!r}: ~ and variables are not expanded; write the path, from the "
                "root of the disk or from the folder of the grid's file"
            )
        return folder / text

    roots = ("root", "test_root")
    data = [
        table.model_copy(
            update={key: placed(key, str(at)) for key in roots if (at := getattr(table, key))}
        )
        for table in grid.data
    ]
    backbones = [
        table.model_copy(update={"weights": str(placed("weights", table.weights))})
        if table.weights not in (None, "imagenet", "none")
        else table
        for table in grid.backbone
    ]
    return grid.model_copy(update={"data": tuple(data), "backbone": tuple(backbones)})

"""All settings of a run, described from the configuration itself."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from camzoo.config import BenchConfig
from camzoo.core.ranges import TAKES
from camzoo.presets import preset

_BOUNDS: Final = {
    "exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<=",
    "multipleOf": "multiple of",
}  # fmt: skip
_KINDS: Final = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false",
    "null": "null", "object": "table",
}  # fmt: skip
#: Settings that say what a preset is called and what it was made for.
_OF_ITS_OWN: Final[Any] = {"preset": True, "data": {"name"}}
#: A data set without settings of its own in any preset.
_PLAIN: Final = "nnunet"
_HEAD: Final = """# All settings

Made by `camzoo settings --markdown` from the configuration itself. Each can be given as
`--set NAME=VALUE` (`--set training.epochs=3`, `--set maps.scales=0.5,1`), or in a TOML or YAML file
for `--config`, whose top-level keys `dataset` and `preset` say what to start from:

```toml
dataset = "acdc"
preset = "quick"
methods = ["cam", "layer-cam"]

[data]
root = "ACDC"
limit = 20

[training]
epochs = 3
```

What stands on the command line goes before what stands in the file. `smoke` and `quick` are
presets; a cell is empty where the preset has the default. Single data sets may have others
([presets.py](../camzoo/presets.py)); `camzoo bench … --plan --json` prints what a run would take.
"""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: Dotted.
        default: Default, as JSON.
        range: What it takes.
        meaning: Meaning in words.
        presets: Its value in presets that have another, as JSON, by preset.
    """

    name: str
    default: str
    range: str
    meaning: str
    presets: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """The setting as JSON."""
        return asdict(self)


def all_settings(pattern: str = "*") -> list[Setting]:
    """Describe every setting whose name has a part, or matches a shell-style pattern, in order."""
    pattern = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    trees = {
        name: _flat(preset(name, _PLAIN).model_dump(mode="json", exclude=_OF_ITS_OWN))
        for name in _PRESETS
    }
    return [setting for setting in _of(BenchConfig, "", trees) if fnmatch(setting.name, pattern)]


def markdown() -> str:
    """The page docs/settings.md."""
    lines = [_HEAD, "| setting | default | smoke | quick | takes | |", "|---|---|---|---|---|---|"]
    for each in all_settings():
        values = [each.default, *(each.presets.get(name, "") for name in _PRESETS)]
        shown = [f"`{value}`" if value else "" for value in values]
        cells = [f"`{each.name}`", *shown, each.range, each.meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


_PRESETS: Final = ("smoke", "quick")


def _of(
    model: type[BaseModel], above: str, trees: Mapping[str, Mapping[str, Any]]
) -> Iterator[Setting]:
    schema = model.model_json_schema()
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _of(kind, f"{above}{name}.", trees)
            continue
        dotted = f"{above}{name}"
        value = field.get_default(call_default_factory=True)
        default = "" if value is PydanticUndefined else _json(model(**{name: value}), name)
        others = {p: json.dumps(tree[dotted]) for p, tree in trees.items() if dotted in tree}
        yield Setting(
            dotted,
            default,
            _range(schema["properties"][name], schema.get("$defs", {})),
            meanings.get(name, ""),
            {p: text for p, text in others.items() if text != default},
        )


def _json(holder: BaseModel, name: str) -> str:
    return json.dumps(holder.model_dump(mode="json")[name])


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat[f"{above}{name}"] = value
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{name}.")
    return flat


def _range(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """What a value may be, from its JSON schema."""
    if TAKES in schema:
        return str(schema[TAKES])
    if "$ref" in schema:
        return _range(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_range(part, defs) for part in schema["anyOf"]))
    if schema.get("type") == "array":
        parts = schema.get("prefixItems")
        if parts:
            return f"{len(parts)} of: {_range(parts[0], defs)}"
        return f"list of: {_range(schema.get('items', {}), defs)}"
    if schema.get("format") == "path":
        return "path"
    bounds = [f"{mark} {schema[key]:g}" for key, mark in _BOUNDS.items() if key in schema]
    return " ".join([_KINDS.get(str(schema.get("type")), "anything"), ", ".join(bounds)]).strip()


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """The attributes that the docstring of a model describes."""
    text = inspect.getdoc(model) or ""
    _, _, listed = text.partition("Attributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in found}

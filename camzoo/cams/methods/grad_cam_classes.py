"""Which CAM classes pytorch-grad-cam has, read from its source: importing it takes seconds."""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

_CLASS_AGNOSTIC: Final = frozenset({"EigenCAM", "FEM", "KPCA_CAM"})
_COMPARES_CLASSES: Final = frozenset({"FinerCAM"})


@cache
def class_names() -> tuple[str, ...]:
    """Return the names of the library's CAM classes.

    A CAM class is one that its ``__init__`` exports and that derives from another called ...CAM, or
    takes (model, target_layers) and has a ``forward``.
    """
    spec = find_spec("pytorch_grad_cam")
    if spec is None or spec.origin is None:
        return ()
    exports: dict[str, Path] = {}
    folder = Path(spec.origin).parent
    for node in ast.parse((folder / "__init__.py").read_bytes()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            file = folder.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            exports.update({alias.name: file for alias in node.names})
    return tuple(sorted(name for name, file in exports.items() if _is_cam(name, file)))


def facts_of(name: str) -> dict[str, Any]:
    """Return what the method of a class of the library says otherwise than the others."""
    return {
        "class_specific": name not in _CLASS_AGNOSTIC,
        "min_classes": 2 if name in _COMPARES_CLASSES else 1,
    }


def summary_of(name: str) -> str:
    """Return what the method of a class of the library does, in a line."""
    return f"{name} as pytorch-grad-cam has it."


def _is_cam(name: str, file: Path) -> bool:
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
            start = methods.get("__init__")
            arguments = [a.arg for a in start.args.args[1:3]] if start else []
            derived = any(isinstance(b, ast.Name) and b.id.endswith("CAM") for b in node.bases)
            return derived or (arguments == ["model", "target_layers"] and "forward" in methods)
    return False

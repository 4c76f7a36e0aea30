"""Which networks timm has, read from its source: importing it takes seconds."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from camzoo.core.suggest import unknown

_REGISTERED: Final = re.compile(rb"^@register_model\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
_DEPRECATED: Final = re.compile(
    rb"^register_model_deprecations\(__name__, \{(.*?)^\}\)", re.MULTILINE | re.DOTALL
)
_OLD_NAME: Final = re.compile(rb"""^\s*['"]([^'"]+)['"]\s*:""", re.MULTILINE)


def require_model(name: str) -> None:
    """Refuse what is no network of timm; a tag of weights may stand behind its name and a dot.

    Raises:
        UnknownNameError: The message lists the nearest names.
    """
    plain = name.partition(".")[0]
    if plain not in model_names() and not _registered_in_this_process(name):
        raise unknown("backbone", name, model_names(), of="timm", otherwise=_FOR_EXAMPLE)


#: What is listed where no name is near: more than a thousand names help nobody.
_FOR_EXAMPLE: Final = ("resnet50", "mobilenetv2_100", "convnext_tiny", "vit_small_patch16_224")


@cache
def model_names() -> tuple[str, ...]:
    """Return the names of timm's networks, old names that it still takes included, sorted."""
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        return ()
    names: set[bytes] = set()
    for file in (Path(spec.origin).parent / "models").glob("*.py"):
        source = file.read_bytes().replace(b"\r\n", b"\n")
        names.update(_REGISTERED.findall(source))
        for table in _DEPRECATED.findall(source):
            names.update(_OLD_NAME.findall(table))
    return tuple(sorted(name.decode() for name in names))


def _registered_in_this_process(name: str) -> bool:
    """Whether somebody has given timm a network of their own."""
    timm = sys.modules.get("timm")
    return timm is not None and timm.is_model(name)

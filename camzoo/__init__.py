"""Which class activation map gives the best masks, by how much, and can the number be believed?

The names below are imported on first use, so that ``import camzoo`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camzoo.api import compute_cams
    from camzoo.cams.base import CamMethod, register_cam
    from camzoo.cams.picture import overlay
    from camzoo.config import BenchConfig
    from camzoo.harness.run import BenchResult, bench

__version__ = "0.1.0"
__all__ = [
    "BenchConfig",
    "BenchResult",
    "CamMethod",
    "bench",
    "compute_cams",
    "overlay",
    "register_cam",
]

_HOMES = {
    "BenchConfig": "camzoo.config",
    "BenchResult": "camzoo.harness.run",
    "CamMethod": "camzoo.cams.base",
    "bench": "camzoo.harness.run",
    "compute_cams": "camzoo.api",
    "overlay": "camzoo.cams.picture",
    "register_cam": "camzoo.cams.base",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'camzoo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

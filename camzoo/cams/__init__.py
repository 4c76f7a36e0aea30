"""CAM methods, the view they share, and the pipeline that turns them into finished maps.

``base`` has the contract of a method, ``methods`` a file for each, ``view`` looks into networks.
``pipeline`` sums what the methods in ``asking`` answer, and ``finishing`` gates and normalises it.
"""

from camzoo.cams.registry import cams

__all__ = ["cams"]

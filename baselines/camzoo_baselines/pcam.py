"""P-CAM: the U-Net on the class activation maps of the classifier itself.

What differs from the paper:

- Network and recipe are those of the run; the preset `paper` has what is known of the authors'.
- The threshold is the one that is best on validation patients, not on the masks that are scored.
"""

from __future__ import annotations

from camzoo.segment.base import register_baseline
from camzoo.segment.maps import MapBaseline


@register_baseline("p-cam")
class PCam(MapBaseline):
    """Cuts CAM of the shared classifier (Chen et al., CVPR 2022, §3.1) and trains the U-Net."""

    title = "P-CAM"
    paper = "Chen, CVPR 2022 (its baseline)"
    method = "cam"

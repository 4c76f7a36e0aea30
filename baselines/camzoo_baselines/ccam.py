"""C-CAM: the U-Net on causal class activation maps.

What differs from the paper:

- Network and recipe are those of the run; the preset `paper` has what is known of the authors'.
- Context maps count predicted masks (map A); of the paper's it is not known what they count.
- The threshold is the one that is best on validation patients, not on the masks that are scored.
- In smaller things the steps differ from the authors' later code: docs/ccam.md lists them.
"""

from __future__ import annotations

from camzoo.segment.base import register_baseline
from camzoo.segment.maps import MapBaseline


@register_baseline("c-cam")
class CCam(MapBaseline):
    """Cuts the maps of the category and anatomy causality chains (Chen et al., CVPR 2022, §3.2)."""

    title = "C-CAM"
    paper = "Chen, CVPR 2022"
    cost = "a second training of the classifier on positives, a boundary network, and the U-Net"
    method = "c-cam"

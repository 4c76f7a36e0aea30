"""C-CAM: the U-Net on causal class activation maps."""

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

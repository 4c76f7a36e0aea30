"""Controls: what the U-Net makes of labels that no network has found.

A baseline has shown something where it beats these.
"""

from __future__ import annotations

from camzoo.segment.base import register_baseline
from camzoo.segment.maps import MapBaseline


@register_baseline("random")
class RandomSeeds(MapBaseline):
    """Noise in the slices that show an organ: whatever the U-Net reaches comes from the tags."""

    title = "random seeds (control)"
    paper = "no paper"
    control = True
    method = "random"


@register_baseline("centre")
class CentreSeeds(MapBaseline):
    """A fixed Gaussian in the middle of the slices that show an organ."""

    title = "centre (control)"
    paper = "no paper"
    control = True
    method = "centre"

"""Segmentation: baselines, and the one U-Net that they train."""

from camzoo.segment.base import baselines

#: Where each built-in baseline lives; imported only when it is asked for.
_BUILT_IN = {
    "centre": "controls:CentreSeeds",
    "random": "controls:RandomSeeds",
    "supervised": "supervised:Supervised",
}

__all__ = ["baselines"]

for _name, _place in _BUILT_IN.items():
    baselines.register(_name, f"{__name__}.{_place}")

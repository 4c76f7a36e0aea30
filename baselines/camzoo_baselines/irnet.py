"""IRNet: the U-Net on CAM that walks up to learnt edges.

Ahn, Cho and Kwak, Weakly supervised learning of instance segmentation with inter-pixel relations,
CVPR 2019. Its parts are the step ``aff`` behind CAM (:mod:`camzoo.steps.aff`), which C-CAM took
over from it: labels of confident pixels, an edge network on a frozen trunk that learns affinities
of pairs of pixels from them, and a random walk of the maps up to the edges.

What is not as in the paper:

- No displacement field, and no loss on it: it tells instances of one class apart, and an organ has
  one instance.
- Thresholds, CRF and length of the walk are those of C-CAM's authors for MR, as maps of organs are
  broad and the CRF and the walk for photographs run over their edges. Distances shrink with the
  slices.
- Each class is divided by its own maximum after the walk, as all maps here, not by the maximum of
  all classes.
- The maps are cut at the threshold that is best on validation patients, not at 0.25.
"""

from __future__ import annotations

from camzoo.segment.base import register_baseline
from camzoo.segment.maps import MapBaseline


@register_baseline("irnet")
class IRNet(MapBaseline):
    """Cuts CAM refined by inter-pixel relations and trains the U-Net.

    Another setting of the refinement is another method: ``IRNet("cam[aff]:beta=5")``.
    """

    title = "IRNet"
    paper = "Ahn, CVPR 2019"
    cost = "a boundary network on the frozen trunk, and the U-Net"
    method = "cam[aff]"

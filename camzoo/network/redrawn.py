"""Classifiers that have learnt nothing: the network of a trained one, with weights drawn anew."""

from __future__ import annotations

from copy import deepcopy

from camzoo.config import BackboneConfig
from camzoo.network.backbone import Classifier, build_classifier

#: Parts of a network that can be drawn anew, by the names that tables have.
PARTS = ("all layers", "head")


def redrawn(trained: Classifier, config: BackboneConfig, part: str, *, seed: int) -> Classifier:
    """Return a copy of a classifier in which a part has the weights that training starts from.

    Those are drawn as ``backbone.weights=none`` draws them, in the place of weights of ImageNet,
    too: what was learnt before the run is gone as well. The input is normalised as before.

    Args:
        trained: Left as it is.
        config: Its architecture.
        part: One of :data:`PARTS`: everything, or the linear layer that makes logits.
        seed: Of the draw.
    """
    from_nothing = config.model_copy(update={"weights": "none"})
    fresh = build_classifier(from_nothing, classes_of(trained), seed=seed).to(trained.device)
    copy = deepcopy(trained)
    if part == "head":
        copy.head.load_state_dict(fresh.head.state_dict())
    else:
        # The same names of weights, whatever kind of padding the layers have that hold them.
        statistics = {"mean": trained.mean, "std": trained.std}
        copy.load_state_dict(fresh.state_dict() | statistics)
    return copy.eval()


def classes_of(classifier: Classifier) -> int:
    """How many organs a classifier tells apart."""
    return len(next(classifier.head.parameters()))

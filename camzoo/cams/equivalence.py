"""Methods that are one and the same for a head and layer, so that nobody ranks them."""

from __future__ import annotations

from collections.abc import Iterable

#: Up to a positive factor the same map whatever the network: the same formula.
_SAME_FORMULA: tuple[frozenset[str], ...] = (
    frozenset({"grad-cam", "gradcam:GradCAM"}),
    frozenset({"hires-cam", "gradcam:HiResCAM"}),
    frozenset({"layer-cam", "gradcam:LayerCAM"}),
    frozenset({"shapley-cam", "gradcam:ShapleyCAM"}),
)
#: Up to a positive factor the same map if average pooling and one linear layer follow the features.
_SAME_IN_CLOSED_FORM: tuple[frozenset[str], ...] = (
    # dy_c/dA_k = w_ck / (h w) everywhere, and the second derivative is zero.
    frozenset(
        {
            "cam", "grad-cam", "hires-cam", "xgrad-cam", "shapley-cam", "reciprocal-cam",
            "gradcam:GradCAM", "gradcam:HiResCAM", "gradcam:ShapleyCAM",
        }
    ),
    # Gradients do not depend on the image, so that noise changes nothing.
    frozenset({"grad-cam++", "smooth-grad-cam++"}),
    frozenset({"layer-cam", "gradcam:LayerCAM"}),
)  # fmt: skip


def equivalent(methods: Iterable[str], closed_form: bool) -> list[tuple[str, ...]]:
    """Return the groups of two or more methods that give the same map by construction.

    The same up to a positive factor per image and class, which normalisation removes.

    Args:
        methods: Names of methods.
        closed_form: Whether average pooling and one linear layer follow the target layer
            (:attr:`camzoo.cams.view.Viewer.closed_form`).

    Returns:
        Groups in the order of ``methods``; a method that equals no other is in none.

    Example:
        >>> equivalent(["grad-cam", "eigen-cam", "cam"], closed_form=True)
        [('grad-cam', 'cam')]
    """
    names = list(dict.fromkeys(methods))
    groups = _SAME_IN_CLOSED_FORM if closed_form else _SAME_FORMULA
    found = [tuple(name for name in names if name in group) for group in groups]
    return [group for group in found if len(group) > 1]

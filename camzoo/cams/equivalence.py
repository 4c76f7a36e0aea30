"""Methods that are one and the same for a head and layer, so that nobody ranks them."""

from __future__ import annotations

from collections.abc import Iterable

#: The same map if average pooling and one linear layer follow the features.
_SAME_IN_CLOSED_FORM: tuple[frozenset[str], ...] = (
    # h w dy_c/dA_k = w_ck everywhere, and the second derivative is zero.
    frozenset({"cam", "grad-cam", "hires-cam", "xgrad-cam", "shapley-cam", "reciprocal-cam"}),
    # Gradients do not depend on the image, so that noise changes nothing.
    frozenset({"grad-cam++", "smooth-grad-cam++"}),
)


def equivalent(methods: Iterable[str], closed_form: bool) -> list[tuple[str, ...]]:
    """Return the groups of two or more methods that give the same map by construction.

    The raw maps are the same up to rounding, and so is all that is made from them. Classes of
    pytorch-grad-cam are in no group: their raw maps are those of the method of the same name
    divided by the number of places, which weighs images of several sizes otherwise.

    Args:
        methods: Names of methods, with settings or without: no setting makes a difference there.
        closed_form: Whether average pooling and one linear layer follow the target layer
            (:attr:`camzoo.cams.view.viewer.Viewer.closed_form`).

    Returns:
        Groups in the order of ``methods``; a method that equals no other is in none.

    Example:
        >>> equivalent(["grad-cam", "eigen-cam", "cam"], closed_form=True)
        [('grad-cam', 'cam')]
    """
    names = list(dict.fromkeys(methods))
    groups = _SAME_IN_CLOSED_FORM if closed_form else ()
    found = [tuple(name for name in names if name.partition(":")[0] in group) for group in groups]
    return [group for group in found if len(group) > 1]

"""Category causality of C-CAM (Chen et al., CVPR 2022, eqs. 2 and 3).

A coarse mask asks which class's context fits it: ``A = softmax(Phi(coarse) Theta(M_GC)^T)`` over
the C classes, and the blend ``M_c = A M_GC`` is one more channel in front of the classifier's head.

Pooling and a linear head turn that channel into ``w_c mean(M_c)`` in the logit and into ``w_c M_c``
in the map. So the head's weight for it is kept here, beside the head, and the trunk is untouched.
For one class the softmax is 1 whatever it is given: the coarse mask has no influence, Phi and Theta
have no gradient, and M_c is M_GC.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CategoryAttention(nn.Module):
    """Which class's context map fits a coarse mask.

    Phi and Theta are linear maps from the places of a grid to a space of ``dim`` dimensions; that
    is what 1 x 1 convolutions of a flattened mask are. The paper leaves their form open. Its
    authors' later code has 512 x 512 places and one dimension; a coarser grid with more dimensions
    says the same with fewer weights.

    Args:
        grid: Side of the grid.
        dim: Dimensions of the common space.
        seed: Seed of the weights, N(0, 0.02).
    """

    def __init__(self, grid: int, dim: int, seed: int) -> None:
        super().__init__()
        self.phi = nn.Linear(grid * grid, dim)
        self.theta = nn.Linear(grid * grid, dim)
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.phi, self.theta):
            nn.init.normal_(layer.weight, std=0.02, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, coarse: Tensor, context: Tensor) -> Tensor:
        """Return the attention over classes [B, C], which sums to 1.

        Args:
            coarse: Coarse masks, class numbers with 0 for background, [B, grid, grid].
            context: M_GC as each slice sees it, [B, C, grid, grid].
        """
        query = self.phi(coarse.float().flatten(1))
        keys = self.theta(context.flatten(2))
        scores = torch.einsum("bd,bcd->bc", query, keys) / query.shape[1] ** 0.5
        shares: Tensor = scores.softmax(dim=1)
        return shares


def blend(attention: Tensor, context: Tensor) -> Tensor:
    """Return M_c [B, g, g]: the context maps [B, C, g, g] in the shares [B, C] of the attention."""
    blended: Tensor = torch.einsum("bc,bcyx->byx", attention, context)
    return blended

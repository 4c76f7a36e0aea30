"""Leading eigenvectors of large symmetric matrices, from a few products where these suffice.

A map needs one eigenvector of a matrix of all pairs of places, and a full decomposition gives all
of them at many times the price of the network itself. A block Krylov method asks the matrix for
nothing but products with two vectors at a time, which costs hardly more than with one and lets a
runner-up show that is nearly as strong. How far the vector may be off is bounded by its residual
over the distance to the runner-up. Whatever is not good enough after a dozen steps is tried with
more, and decomposed in full if that is in vain, as where the two eigenvalues are nearly the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

#: Steps before the first check, and how many more what failed a check gets before the next one.
ROUNDS: Final = (12, 8, 8, 12)
#: Bound of the error of a map as a share of its largest value.
TOLERANCE: Final = 1e-6
#: Up to this size a full decomposition takes no longer, measured on a CPU.
SMALL: Final = 256


class SymmetricMatrices(ABC):
    """Symmetric matrices [B, G, n, n] that are known by what they do to vectors."""

    @property
    @abstractmethod
    def no_rows(self) -> Tensor:
        """No vector at all, [B, G, 0, n], on their device."""

    @property
    @abstractmethod
    def effort(self) -> int:
        """Side of the matrix that a full decomposition would work on."""

    @abstractmethod
    def times(self, rows: Tensor) -> Tensor:
        """Return the products [B, G, r, n] with rows of the same shape."""

    @abstractmethod
    def take(self, batch: Tensor) -> SymmetricMatrices:
        """Return those at some places of the batch."""

    @abstractmethod
    def decompose(self) -> Tensor:
        """Return what :func:`leading` does, by a full decomposition."""


@dataclass(frozen=True)
class Kernels(SymmetricMatrices):
    """Matrices that are written out.

    Attributes:
        matrices: [B, n, n], double; there is one group.
    """

    matrices: Tensor

    @property
    def no_rows(self) -> Tensor:
        """No vector at all, [B, G, 0, n]."""
        return self.matrices[:, None, :0]

    @property
    def effort(self) -> int:
        """N."""
        return self.matrices.shape[2]

    def times(self, rows: Tensor) -> Tensor:
        """Return the products [B, 1, r, n]."""
        return (rows[:, 0] @ self.matrices)[:, None]

    def take(self, batch: Tensor) -> Kernels:
        """Return those at some places of the batch."""
        return Kernels(self.matrices[batch])

    def decompose(self) -> Tensor:
        """Return scaled eigenvectors [B, 1, n] by LAPACK."""
        values, vectors = _eigh(self.matrices)
        return _scaled(vectors[..., -1], values[..., -1])[:, None]


@dataclass(frozen=True)
class Grams(SymmetricMatrices):
    """Products A^T diag(w)^2 A of places with one another, never written out.

    Attributes:
        places: A, [B, K, n], double.
        weights: w, [B, G, K]: groups share the places.
    """

    places: Tensor
    weights: Tensor

    @property
    def no_rows(self) -> Tensor:
        """No vector at all, [B, G, 0, n]."""
        return self.places[:, None, :0].expand(-1, self.weights.shape[1], -1, -1)

    @property
    def effort(self) -> int:
        """The smaller of K and n, whose Gram matrix has the same eigenvalues."""
        return min(self.places.shape[1:])

    def times(self, rows: Tensor) -> Tensor:
        """Return the products [B, G, r, n], of all groups from one reading of the places."""
        inner = (rows.flatten(1, 2) @ self.places.mT).view(*rows.shape[:3], -1)
        weighted = inner * self.weights[:, :, None].square()
        return (weighted.flatten(1, 2) @ self.places).view_as(rows)

    def take(self, batch: Tensor) -> Grams:
        """Return those at some places of the batch."""
        return Grams(self.places[batch], self.weights[batch])

    def decompose(self) -> Tensor:
        """Return scaled eigenvectors [B, G, n] from the smaller Gram matrix, image by image."""
        pairs = zip(self.places, self.weights, strict=True)
        return torch.stack([_first_singular(w[..., None] * places) for places, w in pairs])


def leading(matrices: SymmetricMatrices) -> Tensor:
    """Return the leading eigenvectors times the roots of their eigenvalues, [B, G, n], sign open.

    Deterministic: the start is the same at every call. The root of what is below zero is zero.
    """
    rounds = ROUNDS if matrices.effort > SMALL else ()
    return _solve(matrices, matrices.no_rows, matrices.no_rows, rounds)


def _solve(
    matrices: SymmetricMatrices, basis: Tensor, images: Tensor, rounds: tuple[int, ...]
) -> Tensor:
    """Go on from a basis [B, G, r, n] and its images until every vector is good."""
    if not rounds:
        return matrices.decompose()
    basis, images = _grow(matrices, basis, images, rounds[0])
    vectors, unsure = _best(basis, images)
    rest = unsure.nonzero()[:, 0]  # the only wait for the device
    if len(rest):
        vectors[rest] = _solve(matrices.take(rest), basis[rest], images[rest], rounds[1:])
    return vectors


def _grow(
    matrices: SymmetricMatrices, basis: Tensor, images: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Add two vectors to an orthonormal basis, and their images, step by step."""
    rows = images[:, :, -2:] if images.shape[2] else _start(basis)
    for _ in range(steps):
        rows = _orthonormal(rows, basis)
        basis = torch.cat((basis, rows), 2)
        rows = matrices.times(rows)
        images = torch.cat((images, rows), 2)
    return basis, images


def _best(basis: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best vectors [B, G, n] of a basis, and where in the batch one may be off, [B].

    A bound of the error of one is its residual over the distance to the next eigenvalue, which is
    at least that to the second value found without the residual of that. The largest value of a
    map is no less than its length over the root of n.
    """
    projected = basis @ images.mT
    values, mixtures = _eigh((projected + projected.mT) / 2)
    values, best = values[..., -2:], mixtures[..., -2:].mT
    vectors = best @ basis
    runner_up, residual = (best @ images - values[..., None] * vectors).norm(dim=3).unbind(2)
    gap = (values[..., 1] - values[..., 0] - runner_up).clamp(min=0)
    unsure = residual > TOLERANCE / basis.shape[3] ** 0.5 * gap
    return _scaled(vectors[:, :, 1], values[..., 1]), unsure.any(1)


def _start(like: Tensor) -> Tensor:
    """Two vectors of noise, the same at every call, for matrices of all shapes [B, G, 2, n]."""
    batch, groups, _, size = like.shape
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, size, generator=generator, dtype=torch.double)
    return noise.to(like.device).expand(batch, groups, 2, size)


def _orthonormal(rows: Tensor, basis: Tensor) -> Tensor:
    """Make two rows orthonormal to a basis and to one another; what there is none of is zero.

    Twice, since rounding leaves a share of the basis in rows that were almost within it.
    """
    for _ in range(2):
        first, second = (rows - (rows @ basis.mT) @ basis).split(1, 2)
        first = F.normalize(first, dim=3, eps=1e-150)
        second = F.normalize(second - (second @ first.mT) * first, dim=3, eps=1e-150)
        rows = torch.cat((first, second), 2)
    return rows


def _first_singular(matrices: Tensor) -> Tensor:
    """Return first right singular vectors times singular values, [G, n], of matrices [G, K, n]."""
    if matrices.shape[1] < matrices.shape[2]:
        axes = _eigh(matrices @ matrices.mT)[1][..., -1:]
        return (axes.mT @ matrices)[:, 0]
    values, vectors = _eigh(matrices.mT @ matrices)
    return _scaled(vectors[..., -1], values[..., -1])


def _eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Decompose; where a matrix is not finite its values are NaN, at which LAPACK may stop."""
    finite = matrices.isfinite().all(-1).all(-1)
    values, vectors = torch.linalg.eigh(matrices.where(finite[..., None, None], 0))
    return values.where(finite[..., None], torch.nan), vectors


def _scaled(vectors: Tensor, values: Tensor) -> Tensor:
    return vectors * values.clamp(min=0).sqrt()[..., None]

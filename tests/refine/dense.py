"""The walk and the affinities as the papers write them: all pairs of pixels, one by one."""

import itertools
import math

import torch


def pixels(height, width):
    return list(itertools.product(range(height), range(width)))


def edge_affinity(edges, radius):
    """A [h w, h w] of one edge map [h, w]: 1 - max over the pixels close to the line."""
    places = pixels(*edges.shape)
    matrix = torch.zeros(len(places), len(places), dtype=edges.dtype)
    for (i, a), (j, b) in itertools.product(enumerate(places), repeat=2):
        if math.dist(a, b) < radius:
            matrix[i, j] = 1 - max(edges[p] for p in places if _between(a, b, p))
    return matrix.fill_diagonal_(1)


def _between(a, b, p):
    """Whether p lies in the rectangle of a and b, less than a pixel off their line."""
    inside = all(min(s, t) <= x <= max(s, t) for s, t, x in zip(a, b, p, strict=True))
    along = (b[0] - a[0], b[1] - a[1])
    across = along[0] * (p[1] - a[1]) - along[1] * (p[0] - a[0])
    return inside and (a == b or abs(across) / math.hypot(*along) < 1)


def feature_affinity(features, radius):
    """A [h w, h w] of features [K, h, w]: exp(- mean_k |f_ik - f_jk|)."""
    places = pixels(*features.shape[1:])
    matrix = torch.zeros(len(places), len(places), dtype=features.dtype)
    for (i, a), (j, b) in itertools.product(enumerate(places), repeat=2):
        if math.dist(a, b) < radius:
            difference = features[:, *a] - features[:, *b]
            matrix[i, j] = math.exp(-difference.abs().mean())
    return matrix


def pairs_to_matrix(affinity, index):
    """A [h w, h w] of image ``index`` from planes of pairs."""
    values = affinity.values[index]
    height, width = values.shape[1:]
    matrix = torch.eye(height * width, dtype=values.dtype)
    for plane, (dy, dx) in zip(values, affinity.offsets, strict=True):
        for y, x in pixels(height, width):
            if 0 <= x + dx < width and y + dy < height:
                i, j = y * width + x, (y + dy) * width + x + dx
                matrix[i, j] = matrix[j, i] = plane[y, x]
    return matrix


def transition(matrix, beta):
    """T with columns that sum to one."""
    powered = matrix**beta
    return powered / powered.sum(dim=0, keepdim=True)


def squared_walk(maps, matrix, beta, times):
    """x T^(2^times) by squaring, maps [C, h, w]."""
    walk = transition(matrix, beta)
    for _ in range(times):
        walk = walk @ walk
    return (maps.flatten(1) @ walk).view_as(maps)

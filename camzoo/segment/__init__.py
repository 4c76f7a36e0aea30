"""Segmentation: baselines, and the one U-Net that they train."""

from camzoo.core.registries import baselines

__all__ = ["baselines"]

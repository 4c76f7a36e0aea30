"""Segmentation: baselines, and the one U-Net that they train."""

from camzoo.zoo import baselines

__all__ = ["baselines"]

"""Segmentation: baselines, and the one U-Net that they train."""

from camzoo.segment.registry import baselines

__all__ = ["baselines"]

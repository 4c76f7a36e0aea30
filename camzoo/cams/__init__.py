"""CAM methods, the view they share, and the pipeline that turns them into maps."""

from camzoo.core.registries import cams

__all__ = ["cams"]

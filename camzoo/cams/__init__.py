"""CAM methods, the view they share, the pipeline that turns them into maps, and what follows."""

from camzoo.zoo import cams, steps

__all__ = ["cams", "steps"]

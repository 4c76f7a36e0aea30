"""What follows a method's maps: the parts of C-CAM and the affinity refinement."""

from camzoo.core.registries import steps

__all__ = ["steps"]

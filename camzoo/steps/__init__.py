"""What follows a method's maps: the parts of C-CAM and the affinity refinement."""

from camzoo.steps.registry import steps

__all__ = ["steps"]

"""The registry of CAM methods. Importing it costs nothing: a method is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from camzoo.core.registry import Place, Registry, built_in, describe_class

if TYPE_CHECKING:
    from camzoo.cams.base import CamMethod

_FACTS: Final = (
    "supervision", "class_specific", "needs_fit", "control", "min_classes", "cost", "paper",
    "tuned",
)  # fmt: skip


def _classes_of_grad_cam() -> Iterator[tuple[str, Place]]:
    """The classes of pytorch-grad-cam, which :mod:`camzoo.cams.methods.wrapped` wraps."""
    from camzoo.cams.methods.grad_cam_classes import class_names, facts_of, summary_of
    from camzoo.core.outline import outline_class

    home = "camzoo.cams.methods.wrapped"
    for name in class_names():
        description = describe_class(
            outline_class(f"{home}:LibraryCam"), _FACTS, facts_of(name), summary_of(name)
        )
        yield f"gradcam:{name}", Place(f"{home}:{name}", "camzoo", description)


cams: Registry[type[CamMethod]] = Registry(
    "CAM method",
    group="camzoo.cams",
    base="camzoo.cams.base:CamMethod",
    facts=_FACTS,
    typed=True,
    sources=[built_in("camzoo.cams.methods", "register_cam"), _classes_of_grad_cam],
)

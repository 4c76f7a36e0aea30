"""In which precision networks run: asked for in the settings, chosen here for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from camzoo.core.processor import native_bf16

if TYPE_CHECKING:
    import torch

    from camzoo.config import BenchConfig, Precision

#: Sections of the settings that have a precision, and what they run.
SECTIONS: Final[Mapping[str, str]] = {"training": "classifier and maps", "segmentation": "U-Net"}


@dataclass(frozen=True)
class Choice:
    """The precision of a network on a device.

    Attributes:
        asked: What the settings ask for.
        used: What it comes to.
        why: What that was seen from, in words.
        emulated: Whether the device computes it only in many steps of another kind.
    """

    asked: Precision
    used: Literal["bf16", "fp32"]
    why: str
    emulated: bool = False


def choose_precision(asked: Precision, device: torch.device) -> Choice:
    """Turn "auto" into bf16 where ``device`` computes it natively, else into fp32."""
    if asked == "fp32":
        return Choice(asked, "fp32", "asked for")
    native = native_bf16(device)
    if asked == "bf16":
        return Choice(asked, "bf16", "asked for", emulated=not native.holds)
    return Choice(asked, "bf16" if native.holds else "fp32", native.why)


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Autocast to bfloat16 where ``precision`` says so, or comes to it on ``device``."""
    import torch  # not on top: tables say in words what networks ran in, and run none

    used = choose_precision(precision, device).used
    return torch.autocast(device.type, torch.bfloat16, enabled=used == "bf16")


@dataclass(frozen=True)
class Precisions:
    """The precision of all networks of a run.

    Attributes:
        choices: What was chosen for each section of the settings.
        device: Device that they were made for.
    """

    choices: Mapping[str, Choice]
    device: torch.device

    @classmethod
    def of(cls, config: BenchConfig, device: torch.device) -> Precisions:
        """Choose for the networks that ``config`` runs; without baselines there is no U-Net."""
        sections = [s for s in SECTIONS if s != "segmentation" or config.baselines]
        asked = {section: getattr(config, section).precision for section in sections}
        return cls({s: choose_precision(value, device) for s, value in asked.items()}, device)

    def settle(self, config: BenchConfig) -> BenchConfig:
        """Return ``config`` with what is used in the place of what was asked for.

        Keys of results, the name of the run and its manifest are made from this one: numbers depend
        on what was used.
        """
        return config.changed({f"{s}.precision": c.used for s, c in self.choices.items()})

    def record(self) -> dict[str, Any]:
        """What was asked for, what was used and why, by section, as JSON."""
        return {section: asdict(choice) for section, choice in self.choices.items()}

    def sentence(self) -> str:
        """Say what is used, in one line."""
        return f"precision: {in_words(self.record())}"

    def warning(self) -> str:
        """Say which settings ask for what this device only emulates; empty where none does."""
        emulated = [f"{s}.precision" for s, choice in self.choices.items() if choice.emulated]
        if not emulated:
            return ""
        return (
            f"{' and '.join(emulated)}=bf16 as asked for, but it is emulated here and may take "
            f"many times as long as fp32: {native_bf16(self.device).why}; "
            f"{' '.join(f'--set {name}=auto' for name in emulated)} chooses for this machine "
            "(other numbers, and another name of the run)"
        )


def in_words(record: Mapping[str, Mapping[str, Any]]) -> str:
    """Write what :meth:`Precisions.record` holds: one text where all sections agree."""
    texts = {section: f"{choice['used']}, {_reason(choice)}" for section, choice in record.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{SECTIONS.get(section, section)}: {t}" for section, t in texts.items())


def _reason(choice: Mapping[str, Any]) -> str:
    if choice["asked"] == "auto":
        return f"by auto: {choice['why']}"
    return "asked for" + (", emulated on this processor" if choice["emulated"] else "")

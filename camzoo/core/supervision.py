"""What a method is allowed to see while it learns."""

from __future__ import annotations

from enum import StrEnum


class Supervision(StrEnum):
    """Declared by every method and baseline, printed beside every number.

    ``image`` sees tags only; ``image+size`` also bounds on the size of an organ; ``image+sam`` also
    asks a network that learnt masks of other images, as Segment Anything did; ``image+seed`` also
    sees marks inside the organ that were drawn from its mask; ``mask`` sees masks (an upper bound).
    Each may use what those before it see: the order of the members says so.
    """

    IMAGE = "image"
    IMAGE_SIZE = "image+size"
    IMAGE_SAM = "image+sam"
    IMAGE_SEED = "image+seed"
    MASK = "mask"

    def includes(self, other: Supervision) -> bool:
        """Return whether who declares this may use what ``other`` sees."""
        order = list(Supervision)
        return order.index(other) <= order.index(self)

    @property
    def opens_masks(self) -> bool:
        """Whether training may read reference masks, in part or whole."""
        return self in (Supervision.IMAGE_SEED, Supervision.MASK)

    @property
    def ranked(self) -> bool:
        """Whether it is ranked with what learns from tags: no mask, of any image, stands behind it.

        Bounds on sizes are knowledge that fits on one line; masks are what tags are to replace.
        """
        return self in (Supervision.IMAGE, Supervision.IMAGE_SIZE)

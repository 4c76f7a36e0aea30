"""What methods of submissions may be called."""

from __future__ import annotations

from typing import Final

from camzoo.core.errors import ConfigError
from camzoo.core.names import require_name
from camzoo.registries import baselines, cams, steps

#: Stands behind the name of every row that came from elsewhere.
SUBMITTED: Final = "(submitted)"


def require_foreign(method: str) -> None:
    """Refuse a name that a reader could take for a method of camzoo's, or that is none.

    Raises:
        ConfigError: It may not be called so.
    """
    require_name(method, "the method of a submission")
    word = method.partition("[")[0].partition(" ")[0].partition("(")[0].casefold()
    if any(word == own.casefold() for registry in (cams, steps, baselines) for own in registry):
        raise ConfigError(
            f"the method of a submission is {method!r}, and {word} is a method of camzoo's own; "
            "give it a name that tells them apart"
        )

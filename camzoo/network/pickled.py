"""Whether a file of weights is plain enough to be handed to torch's reader.

That reader runs no code out of a pickle, but looks through its own messages with an expression
whose time grows with the square of their longest word, and the names in a pickle are in them: a
spoilt file of 130 kB takes minutes. Here the pickle is only walked through; nothing in it is made.
"""

from __future__ import annotations

import io
import pickletools
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Final
from zipfile import ZipFile, is_zipfile

#: Letters of the longest name or text; names of tensors and classes have hundreds at most.
_LONGEST: Final = 10_000
#: Of the file in a zip file of torch's that is the pickle.
_MEMBER: Final = "data.pkl"
#: Pickles that begin a file of before zip files: a mark, a version, sizes of numbers, what was
#: saved, and the keys of its storages, whose numbers follow.
_PICKLES: Final = 5


def require_plain_pickle(path: Path) -> None:
    """Refuse a file in which no pickle is, or one with names or sizes that make no sense.

    Args:
        path: What ``torch.save`` wrote, in either of its formats.

    Raises:
        UnpicklingError: The pickle is damaged, a name in it is too long, or the file says that it
            holds more than it has bytes.
        BadZipFile: The zip file is damaged.
    """
    if not is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(_PICKLES):
                _walk(file)
        return
    with ZipFile(path) as archive:
        size = path.stat().st_size
        for member in archive.infolist():
            if member.file_size > size:  # torch compresses nothing, and takes memory for all of it
                raise UnpicklingError(f"{member.file_size} bytes in a file of {size}")
            if member.filename.endswith(_MEMBER):
                _walk(io.BytesIO(archive.read(member)))


def _walk(file: IO[bytes]) -> None:
    try:
        for operation, argument, _ in pickletools.genops(file):
            if isinstance(argument, str | bytes) and len(argument) > _LONGEST:
                raise UnpicklingError(f"{operation.name} of {len(argument)} letters")
    except ValueError as error:
        raise UnpicklingError(str(error)) from error

"""Unpacking an archive from elsewhere without trusting it."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from zipfile import ZipFile, ZipInfo

from camzoo.core.errors import DataError
from camzoo.core.text import reason, shortly

#: Scans compress two to three times, masks far better; a whole archive beyond this is no data set.
_LARGEST_RATIO: Final = 50
#: What a file manager adds to archives.
_CLUTTER: Final = ("__MACOSX", ".DS_Store")


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip file as the new folder ``target``.

    Where everything in the archive lies in one folder, that folder becomes ``target``. The folder
    appears only when it is complete.

    Raises:
        DataError: The archive is damaged, encrypted, holds links or paths that lead out of it, or
            declares more than the disk holds or than a data set compresses to.
    """
    scratch = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with ZipFile(archive) as bundle:
            members = [m for m in bundle.infolist() if not _is_clutter(m)]
            _require_safe(archive, members, target.parent)
            for member in members:
                bundle.extract(member, scratch)
        inner = list(scratch.iterdir())
        single = len(inner) == 1 and inner[0].is_dir()
        (inner[0] if single else scratch).rename(target)
    except DataError:
        raise
    except OSError as error:  # of the disk, or of names that it does not take
        raise DataError(f"{archive} cannot be unpacked into {scratch}: {reason(error)}") from error
    except Exception as error:  # a damaged archive makes its readers fail in any way
        raise DataError(
            f"{archive} cannot be unpacked: {reason(error)}; download it again"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _require_safe(archive: Path, members: list[ZipInfo], disk: Path) -> None:
    for member in members:
        place = PurePosixPath(member.filename)
        outside = place.is_absolute() or ".." in place.parts or "\\" in member.filename
        named = f"{archive}: the member {shortly(member.filename)}"
        if outside or PureWindowsPath(member.filename).drive:
            raise DataError(
                f"{named} leads out of the archive; nothing was unpacked: get the archive from its "
                "owners"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(
                f"{named} is a link; nothing was unpacked: get the archive from its owners"
            )
    # zipfile reads no member beyond the size it declares, so the declared sum bounds what is
    # written.
    declared = sum(member.file_size for member in members)
    if not members or declared > _LARGEST_RATIO * archive.stat().st_size:
        raise DataError(
            f"{archive}: {archive.stat().st_size} bytes that unpack to {declared} are no data set; "
            "nothing was unpacked: get the archive from its owners"
        )
    free = shutil.disk_usage(disk).free
    if declared > free:
        raise DataError(f"{archive}: unpacks to {declared} bytes, {disk} has {free}; make room")


def _is_clutter(member: ZipInfo) -> bool:
    return any(part in _CLUTTER for part in PurePosixPath(member.filename).parts)

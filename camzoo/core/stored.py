"""Reading what camzoo itself wrote: damage is named in one line, with what to do about it.

Damage comes as any exception of any library, so whatever a reader raises is taken for it, but for
faults of the machine. What reads without a fault is looked at by who asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy import typing as npt
from pydantic import TypeAdapter, ValidationError

from camzoo.core.errors import DamagedError, DataError
from camzoo.core.text import plain

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
#: In the folder of every artifact of a store.
_KEY = "key.json"
#: Values of a table that are converted at once: to go column by column takes a small one twice
#: as long.
_CELLS_AT_ONCE = 1 << 20
#: What to do about a damaged file, as the end of a sentence.
Advice = Callable[[Path], str]


def made_again(path: Path) -> str:
    """What to do about a damaged file of a store."""
    above = (folder for folder in path.parents if (folder / _KEY).exists())
    folder = next(above, path.parent)
    return f"delete {folder} and give the same command again: it is made anew"


@contextmanager
def reading(path: Path, advice: Advice = made_again) -> Iterator[None]:
    """Name ``path`` as damaged where the body fails to read it.

    Raises:
        DamagedError: It is not there, or holds something else than it should.
        OSError: The system does not let it be read.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise DamagedError(f"{path} is no file; {advice(path)}")
    try:
        yield
    except FileNotFoundError as error:
        if not path.parent.exists():  # all of it was taken away, while the run goes on perhaps
            raise
        raise DamagedError(f"{path} is missing; {advice(path)}") from error
    except DamagedError:
        raise
    except DataError as error:
        raise DamagedError(f"{error}; {advice(path)}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedError(f"{path} is damaged ({_why(error)}); {advice(path)}") from error


def read_json(path: Path, kind: TypeAdapter[T], advice: Advice = made_again) -> T:
    """Read JSON of the type that ``kind`` stands for."""
    with reading(path, advice):
        return kind.validate_json(path.read_bytes())


def read_array(
    path: Path, dtype: npt.DTypeLike, shape: Sequence[int | None], advice: Advice = made_again
) -> npt.NDArray[Any]:
    """Map a ``.npy`` file into memory, for reading.

    Args:
        path: Where it is.
        dtype: Type of its values.
        shape: Shape of the array; None where any length will do.
        advice: What to do about damage.
    """
    with reading(path, advice):
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise ValueError(
                f"expected {np.dtype(dtype)} [{wanted}], got {array.dtype} {list(array.shape)}"
            )
        return array


def read_tensors(path: Path, advice: Advice = made_again) -> dict[str, Tensor]:
    """Read a safetensors file."""
    from safetensors.torch import load_file  # brings torch, which tables are read without

    with reading(path, advice):
        return load_file(path)


def read_frame(
    path: Path,
    columns: Mapping[str, str],
    advice: Advice = made_again,
    *,
    categories: bool = False,
) -> pd.DataFrame:
    """Read a table that :func:`write_frame` wrote; more columns than asked for may be in it.

    Args:
        path: Where it is.
        columns: Name to kind: "text", "int" or "float".
        advice: What to do about damage.
        categories: Whether text comes as categories, in which a large table is small.
    """
    with reading(path, advice):
        frame = read_parquet(path, categories=categories)
        absent = [name for name in columns if name not in frame]
        if absent:
            raise ValueError(f"it has no column {', '.join(absent)}")
        for name, kind in columns.items():
            if not _KINDS[kind](frame[name]):
                raise ValueError(f"its column {name} is {frame[name].dtype}, expected {kind}")
        return frame


def read_parquet(path: Path, *, categories: bool = False) -> pd.DataFrame:
    """Read a Parquet file a few columns at a time, so that only these are there twice.

    Checksums of its pages are checked.

    Args:
        path: Where it is.
        categories: Whether text comes as categories, in alphabetical order, as groups of text are.
    """
    schema = pq.read_schema(path)
    text = [f.name for f in schema if categories and f.type in (pa.string(), pa.large_string())]
    columns = {}
    with pq.ParquetFile(path, read_dictionary=text, page_checksum_verification=True) as file:
        width = max(1, _CELLS_AT_ONCE // max(1, file.metadata.num_rows))
        for first in range(0, len(schema.names), width):
            names = schema.names[first : first + width]
            part = file.read(names, use_threads=False).to_pandas()
            for name in names:
                column = part[name]
                if name in text:
                    column = column.cat.reorder_categories(sorted(column.cat.categories))
                columns[name] = column
            pa.default_memory_pool().release_unused()
    return pd.DataFrame(columns, copy=False)


def is_text(column: pd.Series[Any]) -> bool:
    """Whether a column holds text, as categories or as it is."""
    held = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return pd.api.types.is_string_dtype(held)


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, with checksums of its pages."""
    frame.to_parquet(path, index=False, write_page_checksum=True)


_KINDS: Mapping[str, Callable[[pd.Series[Any]], bool]] = {
    "text": is_text,
    "int": pd.api.types.is_integer_dtype,
    "float": pd.api.types.is_float_dtype,
}


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        return plain(f"{where}: {fault['msg']}" if where else fault["msg"], 200)
    return plain(f"{type(error).__name__}: {error}", 200)

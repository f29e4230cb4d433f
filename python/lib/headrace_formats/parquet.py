"""Reading strangers' Parquet files: batches of few rows, texts by their numbers in a dictionary.

pyarrow is imported when the first file needs it. What a file claims about its sizes is checked
before anything is read; what it does not tell there, such as a page that grows when it is
unpacked, is bounded by the limits of the process (`limits`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headrace_formats.base import open_plain
from headrace_formats.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ROWS: Final = 100_000_000
_MAGIC: Final = b"PAR1"
_MOST_COLUMNS: Final = 10_000
_MOST_GROUPS: Final = 10_000
_MOST_GROUP_BYTES: Final = 1 << 30
_ROWS_AT_ONCE: Final = 1 << 16
_UNITS_PER_MS: Final = {"us": 1_000, "ns": 1_000_000}


def is_parquet(head: bytes) -> bool:
    """Tell whether a file begins as Parquet does."""
    return head.startswith(_MAGIC)


def load() -> None:
    """Import pyarrow; raises `FormatError` where it is not installed."""
    try:
        # Here for their effect: later reading opens no library file.
        import numpy.ma  # noqa: F401
        import pyarrow.compute
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise FormatError(
            "reading Parquet needs the Python package pyarrow, which is not installed here",
            hint="pip install 'headrace[parquet]'",
        ) from None


@contextmanager
def opened(path: Path, texts: Sequence[str] = ()) -> Iterator[Any]:
    """Open a Parquet file (`pyarrow.parquet.ParquetFile`); raises `FormatError` for another one.

    Columns in `texts` are read as numbers into a dictionary: a text that is repeated a million
    times stays one text. Whatever pyarrow raises while it is open is a `FormatError` too.
    """
    load()
    import pyarrow as pa
    from pyarrow import parquet

    with open_plain(path) as plain:
        try:
            source = pa.PythonFile(plain, mode="r")
            said = parquet.read_metadata(source)
            _check_sizes(said)
            held = set(said.schema.names)
            yield parquet.ParquetFile(
                source,
                metadata=said,
                read_dictionary=[name for name in texts if name in held],
                page_checksum_verification=True,
            )
        except MemoryError:
            raise FormatError("reading it needs too much memory") from None
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            said = str(error).strip().splitlines() or [repr(error)]
            raise FormatError(
                f"it can't be read as Parquet: {said[0]}", hint="is it complete?"
            ) from None


def _check_sizes(said: Any) -> None:
    for count, most, what in (
        (said.num_rows, MOST_ROWS, "rows"),
        (said.num_columns, _MOST_COLUMNS, "columns"),
        (said.num_row_groups, _MOST_GROUPS, "row groups"),
    ):
        if not 0 <= count <= most:
            raise FormatError(f"it claims to hold {count:,} {what}: too many to read")
    for place in range(said.num_row_groups):
        size = said.row_group(place).total_byte_size
        if not 0 <= size <= _MOST_GROUP_BYTES:
            raise FormatError(f"row group {place} claims to take {size:,} bytes: too many")


def batches(file: Any, columns: Sequence[str], texts: Sequence[str] = ()) -> Iterator[Any]:
    """Iterate over the rows, some at a time, as `pyarrow.RecordBatch`.

    `texts` are those of the columns that hold texts, as they were opened; raises `FormatError`
    where one does not, or a column is not there.
    """
    import pyarrow as pa

    schema = file.schema_arrow
    for name in columns:
        if len(schema.get_all_field_indices(name)) != 1:
            raise FormatError(f"there is no column {name}")
        kind = schema.field(name).type
        if name in texts and not (
            pa.types.is_dictionary(kind)
            and (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
        ):
            raise FormatError(f"column {name}: it must hold texts, not {kind}")
    yield from file.iter_batches(_ROWS_AT_ONCE, columns=list(columns), use_threads=False)


def milliseconds(column: Any, where: str) -> "Array":
    """Times as whole milliseconds since 1970; raises `FormatError` for others and for gaps."""
    import numpy as np
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type):
        raise FormatError(f"{where}: it must hold times, not {column.type}")
    if column.null_count:
        raise FormatError(f"{where}: {column.null_count:,} times are missing")
    unit = column.type.unit
    values: Array = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    if unit == "s":
        if values.size and np.abs(values).max() > 1 << 50:
            raise FormatError(f"{where}: a time lies far outside the years 0001 to 9999")
        return values * 1000
    if unit == "ms":
        return values
    whole, rest = np.divmod(values, _UNITS_PER_MS[unit])
    if rest.any():
        raise FormatError(f"{where}: times are kept in whole milliseconds")
    found: Array = whole
    return found

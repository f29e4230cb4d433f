"""Reading the points, lines and polygons of strangers' GeoPackages (OGC 12-128r18, clause 2.1.3).

A geometry is a header (`GP`, version, flags, reference system, envelope) and well-known binary
(OGC 06-103r4, clause 8). Counts are checked against what is left before anything is read. Heights
and measures are left out.
"""

import struct
from typing import Final

from headrace_formats.errors import FormatError
from headrace_formats.fabric import Polygon

_ENVELOPE_BYTES: Final = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
_POINT, _LINE, _POLYGON, _MULTIPOINT, _MULTILINE, _MULTIPOLYGON = 1, 2, 3, 4, 5, 6
_EMPTY: Final = 0b10000


def read_geometry(blob: bytes) -> tuple[list[tuple[float, float]], list[Polygon]]:
    """Return the points and the polygons of a geometry; raises `FormatError`."""
    reader = _opened(blob)
    if reader is None:
        return [], []
    try:
        kind = reader.head()
        if kind == _POINT:
            return reader.points(1), []
        if kind == _POLYGON:
            return [], [reader.polygon()]
        if kind == _MULTIPOINT:
            return [reader.part(_POINT).points(1)[0] for _ in range(reader.count(21))], []
        if kind == _MULTIPOLYGON:
            return [], [reader.part(_POLYGON).polygon() for _ in range(reader.count(9))]
    except struct.error:
        raise FormatError("its geometry ends early") from None
    raise FormatError(f"its geometry is of the type {kind}, neither point nor polygon")


def read_lines(blob: bytes) -> list[list[tuple[float, float]]]:
    """Return the lines of a geometry; raises `FormatError`."""
    reader = _opened(blob)
    if reader is None:
        return []
    try:
        kind = reader.head()
        if kind == _LINE:
            return [reader.line()]
        if kind == _MULTILINE:
            return [reader.part(_LINE).line() for _ in range(reader.count(9))]
    except struct.error:
        raise FormatError("its geometry ends early") from None
    raise FormatError(f"its geometry is of the type {kind}, no line")


def _opened(blob: bytes) -> "_Reader | None":
    """A reader at the well-known binary; None: the geometry is empty."""
    if len(blob) < 8 or blob[:2] != b"GP":
        raise FormatError("its geometry is none of a GeoPackage")
    flags = blob[3]
    envelope = _ENVELOPE_BYTES.get((flags >> 1) & 0b111)
    if envelope is None:
        raise FormatError("its geometry has an unknown envelope")
    return None if flags & _EMPTY else _Reader(blob, 8 + envelope)


class _Reader:
    """Walks through well-known binary."""

    def __init__(self, blob: bytes, at: int) -> None:
        self._blob = blob
        self._at = at
        self._order = "<"
        self._per_point = 2

    def head(self) -> int:
        """Read the byte order and the type; also in the extended form with flags."""
        order = self._blob[self._at : self._at + 1]
        self._order = ">" if order == b"\0" else "<"
        (kind,) = struct.unpack_from(f"{self._order}I", self._blob, self._at + 1)
        self._at += 5
        extra = (kind // 1000) % 10 if kind < 4000 else (kind >> 31) + (kind >> 30 & 1)
        self._per_point = 2 + (extra + 1) // 2 if kind < 4000 else 2 + extra
        return int(kind % 1000 if kind < 4000 else kind & 0xFF)

    def part(self, expected: int) -> "_Reader":
        """Read the head of a part, which must be of a type."""
        if self.head() != expected:
            raise FormatError("its geometry has a part of another type")
        return self

    def count(self, least_bytes: int) -> int:
        """Read a number of things that take at least so many bytes each."""
        (count,) = struct.unpack_from(f"{self._order}I", self._blob, self._at)
        self._at += 4
        if count * least_bytes > len(self._blob) - self._at:
            raise FormatError("its geometry ends early")
        return int(count)

    def points(self, count: int) -> list[tuple[float, float]]:
        """Read points."""
        per_point = self._per_point
        numbers = struct.unpack_from(f"{self._order}{count * per_point}d", self._blob, self._at)
        self._at += count * per_point * 8
        return list(zip(numbers[::per_point], numbers[1::per_point], strict=True))

    def line(self) -> list[tuple[float, float]]:
        """Read the points of a line, or of a ring."""
        return self.points(self.count(8 * self._per_point))

    def polygon(self) -> Polygon:
        """Read the rings of a polygon."""
        return [self.line() for _ in range(self.count(4))]

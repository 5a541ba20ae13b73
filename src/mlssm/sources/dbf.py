"""dBASE tables, as ESRI writes the attributes of a raster beside it (`soil.tif.vat.dbf`)."""

from __future__ import annotations

import struct
from pathlib import Path


def read_dbf(path: Path) -> dict[str, list[str]]:
    """The columns of a dBASE III table as text.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such table, or is cut off.
    """
    content = path.read_bytes()
    try:
        count, start, size = struct.unpack_from("<IHH", content, 4)
        fields = [content[place : place + 32] for place in range(32, start - 1, 32)]
        names = [item[:11].split(b"\0")[0].decode("ascii") for item in fields]
        widths = [item[16] for item in fields]
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ValueError("it is no dBASE table") from None
    if not names or sum(widths) + 1 != size or len(content) < start + count * size:
        raise ValueError("it is no dBASE table, or is cut off")
    columns: dict[str, list[str]] = {name: [] for name in names}
    for row in range(count):
        place = start + row * size + 1  # after the mark of a deleted row
        for name, width in zip(names, widths, strict=True):
            columns[name].append(content[place : place + width].decode("utf-8", "replace").strip())
            place += width
    return columns

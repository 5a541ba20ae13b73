"""What SNAP calls the bands of its GeoTIFFs: it writes that into a private tag, which GDAL does not read."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

DIMAP_TAG = 65000
# its header is some hundred kilobytes
MOST_BYTES = 8_000_000
BAND = re.compile(r"<Spectral_Band_Info>(?P<about>.*?)</Spectral_Band_Info>", re.DOTALL)
FIELD = r"<{0}>\s*([^<]*?)\s*</{0}>"


def band_names(path: Path, source: Any) -> tuple[str, ...]:
    """What an open file calls its bands, in their order: their descriptions, or what SNAP calls them; else empty."""
    told = tuple(name or "" for name in source.descriptions)
    return told if any(told) else _by_snap(path, source.count) or told


def _by_snap(path: Path, count: int) -> tuple[str, ...]:
    with path.open("rb") as stream:
        text = _dimap(stream)
    found = {}
    for match in BAND.finditer(text):
        fields = [re.search(FIELD.format(name), match["about"]) for name in ("BAND_INDEX", "BAND_NAME")]
        if fields[0] and fields[1] and fields[0][1].isdecimal():
            found[int(fields[0][1])] = fields[1][1]
    return tuple(found.get(number, "") for number in range(count)) if found else ()


def _dimap(stream: BinaryIO) -> str:
    """The text of the tag in a TIFF's first directory; empty where it has none, or is broken."""
    try:
        start = stream.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = struct.unpack(order + "H", start[2:4])[0] == 43
        # classic: count H, entries of 12 bytes with values of 4; big: count Q, entries of 20 with values of 8
        where = struct.unpack(order + ("Q" if big else "I"), start[8:16] if big else start[4:8])[0]
        head, entry = ("Q", "HHQQ") if big else ("H", "HHII")
        stream.seek(where)
        (entries,) = struct.unpack(order + head, stream.read(struct.calcsize(order + head)))
        for _ in range(min(entries, 4096)):
            tag, kind, size, offset = struct.unpack(order + entry, stream.read(struct.calcsize(order + entry)))
            if tag == DIMAP_TAG and kind == 2 and size <= MOST_BYTES:
                stream.seek(offset)
                return stream.read(size).decode("utf-8", "replace")
    except struct.error:
        pass  # GDAL says what is wrong with such a file
    return ""

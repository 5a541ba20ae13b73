"""The windows of an item's files: fetched a few at once, each written whole, with the bytes that it took."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlssm.grid import Grid
from mlssm.origins.cog import Cut, read_cog
from mlssm.origins.contract import Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.stac.catalogue import CREDENTIAL, Catalogue
from mlssm.progress import transfer

log = logging.getLogger(__name__)


@dataclass
class Count:
    """Bytes and requests of windows."""

    read: int = 0
    needed: int = 0
    requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, cut: Cut) -> None:
        """Count one more."""
        with self._lock:
            self.read += cut.read_bytes
            self.needed += cut.needed_bytes
            self.requests += cut.requests


class Windows:
    """Reads windows of a catalogue's files."""

    def __init__(self, catalogue: Catalogue, downloads: Downloads) -> None:
        """Take whose files, and what asks."""
        self._catalogue, self._downloads, self.count = catalogue, downloads, Count()

    def read(self, url: str, grid: Grid, nearest: bool = False) -> Cut | None:
        """What a file has on a grid, see `read_cog`."""
        cut = read_cog(self._downloads, url, grid, nearest, self._catalogue.sign, CREDENTIAL)
        if cut is not None:
            self.count.add(cut)
        return cut

    def write(self, request: Request, wanted: Sequence[Wanted], write: Callable[[Wanted], None]) -> None:
        """Write the files that are not there yet, a few at once.

        Raises:
            DataError: One fails for good; what is whole stays.
        """
        missing = [item for item in wanted if not (request.root / item.name).is_file()]
        sizes = [item.size or 0 for item in missing]

        with transfer(request.folder, len(missing), sum(sizes) or None) as shown:

            def one(item: Wanted) -> None:
                write(item)
                shown.bytes_done(item.size or 0)

            self._downloads.each(one, missing, shown)
        count = self.count
        if count.requests:
            log.info(
                "%s: %d files, %.1f MB read in %d requests; their blocks have %.1f MB",
                *(request.folder, len(missing), count.read / 1e6, count.requests, count.needed / 1e6),
            )

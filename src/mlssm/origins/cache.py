"""Files that several areas share: kept by what they hold, found by where they came from."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Known:
    """What the cache knows of an address: the SHA-256 and the validator (ETag) of the file that it gave."""

    sha256: str
    etag: str | None


@dataclass(frozen=True)
class Cache:
    """A folder with `content/<sha256>` and `address/<digest of the address>.json`."""

    folder: Path

    def known(self, address: str) -> Known | None:
        """What came from an address, where it is still there."""
        try:
            record = json.loads(self._record(address).read_text(encoding="utf-8"))
            found = Known(str(record["sha256"]), record["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if self._content(found.sha256).is_file() else None

    def give(self, sha256: str, path: Path) -> bool:
        """Put a kept file to its place; whether there is one that still holds what it held."""
        kept = self._content(sha256)
        if not kept.is_file():
            return False
        if file_sha256(kept) != sha256:
            log.warning("%s does not hold what was kept: it is fetched anew", kept)
            kept.unlink()
            return False
        _link(kept, path)
        return True

    def keep(self, address: str, path: Path, sha256: str, etag: str | None) -> None:
        """Keep a whole file that came from an address."""
        if not self._content(sha256).is_file():
            _link(path, self._content(sha256))
        record = self._record(address)
        record.parent.mkdir(parents=True, exist_ok=True)
        partial = record.with_name(f".{record.name}.{uuid.uuid4().hex}")
        partial.write_text(json.dumps({"address": address, "sha256": sha256, "etag": etag}), encoding="utf-8")
        partial.replace(record)

    def _content(self, sha256: str) -> Path:
        return self.folder / "content" / sha256[:2] / sha256

    def _record(self, address: str) -> Path:
        return self.folder / "address" / f"{hashlib.sha256(address.encode()).hexdigest()}.json"


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the disk is another one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)

"""Fenced blocks of the project's pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```\s*?$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"\A# ([\w./-]+/[\w.-]+)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, language and text."""

    page: str
    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page, of some languages or all."""
    found = (Block(page.name, match[2], match[3]) for match in FENCE.finditer(page.read_text(encoding="utf-8")))
    return [block for block in found if not languages or block.language in languages]


def write_named(page: Path, folder: Path) -> list[Path]:
    """Write the files whose first line names them, as `# my_extras/model.py`, and return them."""
    written = []
    for block in blocks(page, "python", "yaml"):
        if match := NAMED.match(block.text):
            path = folder / match[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            written.append(path)
    return written

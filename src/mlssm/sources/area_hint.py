"""What to write into an area's `area.yaml` where names and headers leave something open: ready to paste."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from mlssm.config import BackscatterConfig
from mlssm.config.area_file import AREA_FILE

PARTS = (
    r"(?P<date>(?:19|20)\d{6}T\d{6}|(?:19|20)\d{6})",
    r"(?P<polarisation>(?<![A-Za-z])(?:VV|VH|HH|HV)(?![A-Za-z]))",
    r"(?P<platform>S1[A-D])",
    r"(?P<digits>\d+)",
)
PART = re.compile("|".join(PARTS))
WRITTEN = {
    "polarisation": "(?P<polarisation>VV|VH|HH|HV)",
    "platform": "(?P<platform>S1[A-D])",
    "digits": r"\d+",
}


def hint(config: BackscatterConfig, **keys: Any) -> str:
    """An `area.yaml` with what is known of the images, and more; of a key to be chosen the value names the choices."""
    backscatter = config.model_dump(mode="json", exclude_none=True) | keys
    text = yaml.safe_dump({"format": 1, "backscatter": backscatter}, sort_keys=False, allow_unicode=True, width=200)
    return f"; say it in {AREA_FILE} in the area's folder, which may begin so:\n\n{text}"


def pattern_of(path: Path) -> str:
    """A pattern of names like one: its first date, polarisation and platform are groups, other numbers may differ."""
    seen: set[str] = set()
    written, end = "", 0
    for match in PART.finditer(path.name):
        kind = str(match.lastgroup)
        if kind in seen:
            kind = "digits" if match[0].isdigit() else "same"
        seen.add(kind)
        date = rf"(?P<date>\d{{8}}{'T' if 'T' in match[0] else ''}{chr(92) + 'd{6}' if 'T' in match[0] else ''})"
        again = re.escape(match[0]) if kind == "same" else r"\d+"
        written += re.escape(path.name[end : match.start()]) + {**WRITTEN, "date": date}.get(kind, again)
        end = match.end()
    return written + re.escape(path.name[end:])

"""The day of an NDVI image, by the names that producers write."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from mlssm.errors import DataError

# products that name the day of sensing first, and that of processing later
PRODUCTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"S2[A-D]_MSIL[12][ABC]_(?P<date>\d{8})T\d{6}_.*",  # Sentinel-2
        r"L[COTEM]\d\d_L\w\w\w_\d{6}_(?P<date>\d{8})_\d{8}_.*",  # Landsat collections
        r"(?:MOD|MYD|MCD|VNP|VJ1|VJ2)\w+\.A(?P<date>\d{7})\..*",  # MODIS, VIIRS
    )
)
# 20230101, 2023-01-01 (or with _ or . between), 2023001: a day of the year
# composites that are named by the first day of what they hold: by product, days that follow it
COMPOSITES = (
    (re.compile(r"(?:MOD|MYD|VNP|VJ1|VJ2)13(?:Q1|A1|A2|A4|C1)\.", re.IGNORECASE), 15),
    (re.compile(r"(?:MOD|MYD|VNP|VJ1|VJ2)13(?:A3|C2)\.", re.IGNORECASE), 30),
    (re.compile(r"(?:MOD|MYD|VNP|VJ1|VJ2)(?:09[AQ]1|15A2H)\.", re.IGNORECASE), 7),
    (re.compile(r"(?:MCD|VNP|VJ1|VJ2)43\w*\.", re.IGNORECASE), 8),  # named by its middle
)
DATE = re.compile(r"(?<!\d)(?:(?:19|20)\d{6}|(?:19|20)\d{5}|(?:19|20)\d\d([-_.])\d\d\1\d\d)(?!\d)")


def read_name(path: Path) -> dict[str, str] | None:
    """What a name says: `date` as YYYYMMDD, or as it stands where it is no day; None where it has none.

    The date of a composite that is named by its first day, or by its middle, is its last one, on which it is known;
    `composite` is what stands in the name then.

    Raises:
        DataError: The name has several days, and is of no product that is known.
    """
    for product in PRODUCTS:
        if match := product.fullmatch(path.stem):
            return _known(path.stem, _day(match["date"]) or match["date"])
    written = [match[0] for match in DATE.finditer(path.stem)]
    days = sorted({day for text in written if (day := _day(text))})
    if len(days) > 1:
        raise DataError(
            f"{path} has the dates {', '.join(days)} in its name; say which one is that of sensing (of a composite, "
            r"its last) with datamodule.ndvi_pattern, e.g. 'x_(?P<date>\d{8})_(?P<other>\d{8})\.tif'"
        )
    return {"date": (days or written)[0]} if written else None


def _known(stem: str, date: str) -> dict[str, str]:
    days = next((days for product, days in COMPOSITES if product.match(stem)), 0)
    if not days or _day(date) is None:
        return {"date": date}
    last = dt.datetime.strptime(date, "%Y%m%d") + dt.timedelta(days=days)
    return {"date": last.strftime("%Y%m%d"), "composite": date}


def _day(text: str) -> str | None:
    digits = re.sub(r"[-_.]", "", text)
    try:
        return dt.datetime.strptime(digits, "%Y%j" if len(digits) == 7 else "%Y%m%d").strftime("%Y%m%d")
    except ValueError:
        return None

"""Earth Engine as its client sees it: real requests of ee and xee are built and kept, and two calls are answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

UNMASKED = 2**31 - 1  # what xee asks Earth Engine to put where an image is masked
Values = Callable[[str, str, tuple[int, int]], npt.NDArray[np.float64]]


@dataclass
class Engine:
    """Answers in the shape that Earth Engine's have.

    Attributes:
        rows: Of `reduceColumns`, by collection.
        bands: Of computed images.
        values: Function of (expression as JSON, band, shape) -> pixels, NaN where masked.
        faults: What the next calls raise.
        asked: Each expression as JSON.
        grids: Of each request of pixels.
    """

    rows: dict[str, list[list[Any]]] = field(default_factory=dict)
    bands: tuple[str, ...] = ("VV", "VH", "angle")
    values: Values = lambda text, band, shape: np.full(shape, -10.0)
    faults: list[Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    grids: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def compute_value(self, expression: Any) -> Any:
        text = self._note(expression)
        if "Collection.first" in text:  # xee asks what the images are
            kind = {"type": "PixelType", "precision": "double"}
            bands = [{"id": band, "data_type": kind, "crs": "EPSG:4326"} for band in self.bands]
            return [1, {}, {"type": "Image", "bands": bands}, [["0"], [0]]]
        return next(rows for collection, rows in self.rows.items() if collection in text)

    def compute_pixels(self, params: dict[str, Any]) -> npt.NDArray[Any]:
        text = self._note(params["expression"])
        assert params["fileFormat"] == "NUMPY_NDARRAY"
        self.grids.append(params["grid"])
        size = params["grid"]["dimensions"]
        band = next(band for band in self.bands if f'"names": {{"constantValue": ["{band}"]}}' in text)
        values = self.values(text, band, (size["height"], size["width"]))
        stored = np.where(np.isnan(values), UNMASKED, values)
        return np.ascontiguousarray(stored).view([(f"0_{band}", "f8")]).reshape(values.shape)

    def _note(self, expression: Any) -> str:
        from ee import serializer

        text = json.dumps(serializer.encode(expression, is_compound=False, for_cloud_api=True))
        with self.lock:
            self.asked.append(text)
            if self.faults:
                raise self.faults.pop(0)
        return text


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    ee = pytest.importorskip("ee")
    pytest.importorskip("xee")
    from ee import apitestcase

    state = Engine()
    monkeypatch.setattr(ee.data, "_install_cloud_api_resource", lambda: None)
    monkeypatch.setattr(ee.data, "getAlgorithms", apitestcase.GetAlgorithms)
    monkeypatch.setattr(ee.deprecation, "_FetchDataCatalogStac", dict)
    monkeypatch.setattr(ee.data, "computeValue", state.compute_value)
    monkeypatch.setattr(ee.data, "computePixels", state.compute_pixels)
    ee.Reset()
    ee.Initialize(None, "", project="my-project")
    yield state
    ee.Reset()

import numpy as np
import pytest

from mlssm.weather.placement import distances_km, placement_warnings

KM = 1000.0
NEAR = (0.0, 0.0, 3 * KM, 3 * KM)
FAR = (0.0, 90 * KM, 3 * KM, 93 * KM)


def test_distances_are_to_the_nearest_pixel() -> None:
    stations = np.array([[1.0, 1.0], [7.0, 6.0], [2.0, -5.0]]) * KM
    np.testing.assert_allclose(distances_km(stations, [NEAR]), [[0.0], [5.0], [5.0]])


@pytest.mark.parametrize(
    ("stations", "extents", "told"),
    [
        ([[1, 1]], [NEAR], []),
        ([[1, 53]], [NEAR], []),
        ([[1, 54]], [NEAR], ["1 of 1 extents have no station within 50 km, the farthest none within 51 km"]),
        ([[1, 1], [1, 92]], [NEAR, FAR], []),
        ([[1, 1], [1, 50]], [NEAR, FAR], []),
        (
            [[1, 1]],
            [NEAR, FAR],
            ["1 of 2 extents have no station within 50 km", "over 93 km and their 1 stations over 0"],
        ),
        ([[1, 1], [1, 102]], [NEAR], []),
        ([[1, 1], [1, 104]], [NEAR], ["1 of 2 stations are more than 100 km from all extents, the farthest 101 km"]),
        ([[1, 46], [1, 48]], [NEAR, FAR], ["they are as one gauge"]),
    ],
)
def test_stations_far_away_or_all_together_are_told(
    stations: list[list[float]], extents: list[tuple[float, float, float, float]], told: list[str]
) -> None:
    lines = placement_warnings(np.array(stations) * KM, extents)
    assert len(lines) == len(told)
    for line, part in zip(lines, told, strict=True):
        assert part in line

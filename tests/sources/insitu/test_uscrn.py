from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlssm.errors import DataError
from mlssm.sources.faults import BadFiles
from mlssm.sources.insitu.read import read_ground
from mlssm.sources.insitu.uscrn import COLUMNS

# of the agency's own file CRND0103-2020-CA_Santa_Barbara_11_W.txt in form: 28 fields
LINE = (
    "53152 202001{day:02d}  2.514 -119.88   34.41    18.2     6.6    12.4    11.9     0.0    11.34 C    24.1     3.4"
    "    11.6    97.9    41.4    73.0   {sm}   0.187   0.203   0.213   0.242    {st}    13.1    13.5    15.0    16.3"
)


def write(folder: Path, *values: tuple[float, float]) -> Path:
    path = folder / "CRND0103-2020-CA_Santa_Barbara_11_W.txt"
    lines = [LINE.format(day=day, sm=f"{sm:.3f}", st=f"{st:.1f}") for day, (sm, st) in enumerate(values, 1)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


def test_the_agencys_text_files_are_read_by_their_documented_fields(tmp_path: Path) -> None:
    write(tmp_path, (0.171, 12.8), (-99.0, 1.5), (0.2, -9999.0))
    (sensor,) = read_ground(tmp_path, None, (0, 0.05), BadFiles("error"))
    assert (sensor.station, sensor.longitude, sensor.latitude) == ("USCRN 53152", -119.88, 34.41)
    assert sensor.daily
    np.testing.assert_array_equal(sensor.moisture, [0.171, np.nan, 0.2])
    np.testing.assert_array_equal(sensor.temperature, [12.8, 1.5, np.nan])
    np.testing.assert_array_equal(sensor.times, np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]"))
    both = read_ground(tmp_path, None, (0, 0.1), BadFiles("error"))
    assert [each.depth for each in both] == [(0.05, 0.05), (0.1, 0.1)]
    assert both[1].moisture[0] == 0.187


def test_a_line_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, (0.171, 12.8), (0.171, 12.8))
    path.write_text(path.read_text()[:-30] + "\n")
    with pytest.raises(DataError, match=r"line 2: 2\d fields; daily01 has 28"):
        read_ground(tmp_path, None, (0, 0.05), BadFiles("error"))
    path.write_text(LINE.format(day=1, sm="0.1", st="3") + "\n" + LINE.format(day=1, sm="0.1", st="3") + "\n")
    with pytest.raises(DataError, match=r"station 53152 has 2020-01-01 twice"):
        read_ground(tmp_path, None, (0, 0.05), BadFiles("error"))


def test_the_years_table_of_all_stations(shared: Path) -> None:
    path = shared / "reference" / "uscrn_2020_daily.parquet"
    table = pd.read_parquet(path)
    assert tuple(table.columns) == COLUMNS
    sensors = read_ground(path, None, (0, 0.05), BadFiles("error"))
    known = table[table["soil_moisture_5_daily"].notna()]
    assert len(sensors) == known["wban"].nunique() > 100
    own = known[known["wban"] == sensors[0].station.split()[1]].sort_values("lst_date")
    kept = np.isfinite(sensors[0].moisture)
    np.testing.assert_array_equal(sensors[0].moisture[kept], own["soil_moisture_5_daily"])
    np.testing.assert_array_equal(sensors[0].times[kept], own["lst_date"].to_numpy().astype("datetime64[D]"))
    total = sum(int(np.isfinite(sensor.moisture).sum()) for sensor in sensors)
    assert total == len(known)


def test_a_table_that_lacks_columns_is_told(tmp_path: Path) -> None:
    pd.DataFrame({"wban": ["1"], "x": [1.0]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"lacks the columns lst_date, longitude"):
        read_ground(tmp_path, None, (0, 0.05), BadFiles("error"))

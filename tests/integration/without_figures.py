"""Train as `train.py` does, but draw no figures: for processes of which no test looks at them."""

import runpy
from pathlib import Path
from unittest import mock

if __name__ == "__main__":
    with mock.patch("mlssm.jobs.report.run_figures", return_value=()):
        runpy.run_path(str(Path(__file__).resolve().parents[2] / "train.py"), run_name="__main__")

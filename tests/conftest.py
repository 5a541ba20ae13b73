"""Fixtures that the whole suite shares."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real input and reference numbers beside the checkout; without it a test skips."""
    if not (SHARED / "santa_barbara").is_dir():
        pytest.skip(f"real input is not at {SHARED.name}/ beside the checkout")
    return SHARED

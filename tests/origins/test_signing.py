"""Planetary Computer's tokens, from a server on loopback."""

from typing import Any

import pytest

from mlssm.origins.download import Downloads
from mlssm.origins.stac.signing import signer


def test_a_refused_token_is_fetched_anew(server: Any, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    sas = pytest.importorskip("planetary_computer.sas")
    monkeypatch.setenv("PC_SDK_SAS_URL", f"{server.url}/sas")
    sas.Settings.get.cache_clear()
    sas.TOKEN_CACHE.clear()
    given: list[int] = []

    def token(query: object, body: object) -> dict[str, str]:
        given.append(len(given))
        return {"msft:expiry": "2999-01-01T00:00:00Z", "token": f"st=1&sig=token{len(given)}"}

    server.answers["/sas/account/container"] = token
    sign = signer("planetary_computer", "sentinel-1-rtc", downloads)
    assert sign is not None
    url = "https://account.blob.core.windows.net/container/scene.tif"
    try:
        assert sign(url, False) == f"{url}?st=1&sig=token1"
        assert sign(url, False) == f"{url}?st=1&sig=token1"
        assert len(given) == 1  # one for all files, while it is valid
        assert sign(url, True) == f"{url}?st=1&sig=token2"
    finally:
        sas.Settings.get.cache_clear()
        sas.TOKEN_CACHE.clear()


def test_open_links_need_no_signature(downloads: Downloads) -> None:
    assert signer(None, "any", downloads) is None

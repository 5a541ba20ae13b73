"""What pystac-client asks a STAC API with: the same patience as all other requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pystac_client.stac_api_io import StacApiIO

from mlssm.origins.download import Downloads


class PatientIO(StacApiIO):
    """Asks through `Downloads`."""

    def __init__(self, downloads: Downloads) -> None:
        """Take what asks."""
        super().__init__()
        self._downloads = downloads

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """The text of an answer; parameters are the body of a POST, else the query."""
        posted = method == "POST"
        answer = self._downloads.request(
            href,
            method=method,
            headers=headers,
            params=None if posted else parameters,
            body=parameters if posted else None,
        )
        return answer.text

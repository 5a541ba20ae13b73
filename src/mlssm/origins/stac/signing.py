"""Links that a service signs for a while."""

from __future__ import annotations

from mlssm.origins.download import Downloads, Sign
from mlssm.origins.services import needs


def signer(name: str | None, collection: str, downloads: Downloads) -> Sign | None:
    """What signs links; None where they are open.

    Raises:
        ConfigError: Its package is not installed.
    """
    if name is None:
        return None
    try:
        from planetary_computer import sas, sign_url
    except ImportError as error:
        raise needs("planetary", error) from None

    def sign(url: str, refused: bool) -> str:
        if refused:
            sas.TOKEN_CACHE.clear()  # else the same token is given until its own clock says that it is over
        signed: str = sign_url(url)
        return signed

    return sign

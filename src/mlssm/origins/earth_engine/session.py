"""Earth Engine's login, and what its errors mean."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import TypeVar

from mlssm.config.earth_engine import EarthEngineService
from mlssm.config.origins import DownloadConfig
from mlssm.errors import DataError
from mlssm.origins.patience import FaultForNow, patiently
from mlssm.origins.services import needs
from mlssm.secrets import without_password

T = TypeVar("T")
log = logging.getLogger(__name__)

# of many small requests, https://developers.google.com/earth-engine/guides/processing_environments
HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"
REGISTER = "https://code.earthengine.google.com/register"
SET_PROJECT = "set datamodule.origin.SOURCE.project=ID of each source, or run `earthengine set_project ID`"
LOGIN = "run `earthengine authenticate` once (without a browser: `earthengine authenticate --auth_mode=notebook`)"
SMALLER = "set a smaller datamodule.origin.SOURCE.tile"
# what Earth Engine says (its HTTP status is lost in its client), and what helps; the first that fits counts
CURES = (
    (r"not signed up|is not registered", f"register the project at {REGISTER}; {SET_PROJECT}"),
    (r"no project found", f"{SET_PROJECT}; register it at {REGISTER}"),
    (r"authorize access|invalid_grant|reauth|could not refresh|unauthenticated|invalid authentication", LOGIN),
    (r"has not been used in project|api .*disabled", "enable the Earth Engine API of the project, as the link says"),
    (
        r"permission to use project|serviceusage",
        f"ask the project's owner for the role Service Usage Consumer, or {SET_PROJECT}",
    ),
    (r"user memory limit|total request size|too many pixels|request payload size|dimensions.*less than", SMALLER),
    (r"does not exist or caller|not found", "the data set is not there, or the login may not read it"),
    (r"permission", f"the login may not do that; {SET_PROJECT}"),
)
QUOTA = re.compile(r"too many (concurrent|requests)|rate.?limit|quota|\b429\b|resource.?exhausted", re.IGNORECASE)
FOR_NOW = re.compile(
    r"timed out|deadline|internal (server )?error|unavailable|backend error|bad gateway|try again|\b50[0234]\b",
    re.IGNORECASE,
)
FEWER = "its quota is used up for now; fewer datamodule.origin.download.threads use it more slowly"


class Session:
    """Asks Earth Engine, after a login, again where it fails for now."""

    _lock = threading.Lock()

    def __init__(self, service: EarthEngineService, config: DownloadConfig) -> None:
        """Take the service's settings, and how patient requests are."""
        self.service, self._config = service, config

    def sign_in(self) -> None:
        """Log in once a process, as `earthengine authenticate` or application default credentials have it.

        Raises:
            ConfigError: The package is not installed.
            DataError: There is no login, or no project; says what to do.
        """
        try:
            import ee
            import xee  # noqa: F401  registers xarray's engine
        except ImportError as error:
            raise needs("earth_engine", error) from error
        with self._lock:
            if not ee.data.is_initialized():
                self.ask(lambda: ee.Initialize(project=self.service.project, url=HIGH_VOLUME), "the login")

    def ask(self, request: Callable[[], T], what: str) -> T:
        """What Earth Engine answers.

        Args:
            request: Asks it.
            what: For messages.

        Raises:
            DataError: It refuses for good, or fails too often.
        """

        def attempt() -> T:
            try:
                return request()
            except Exception as error:
                raise meant(error, what) from error

        return patiently(attempt, f"Earth Engine, {what}", self._config)


def meant(error: Exception, what: str) -> Exception:
    """What an error of Earth Engine, of its login or of the connection means; any other stays as it is."""
    import ee
    from google.auth.exceptions import GoogleAuthError, TransportError

    said = without_password(" ".join(str(error).split()))[:300]
    if isinstance(error, TransportError | OSError):
        return FaultForNow(f"the connection broke ({said})")
    if not isinstance(error, ee.EEException | GoogleAuthError):
        return error
    cure = next((cure for pattern, cure in CURES if re.search(pattern, said, re.IGNORECASE)), None)
    if cure is None and QUOTA.search(said):
        return FaultForNow(f"{said} ({FEWER})")
    if cure is None and FOR_NOW.search(said):
        return FaultForNow(f"{said} (where it stays so, {SMALLER})")
    if cure is None and isinstance(error, GoogleAuthError):
        cure = LOGIN
    return DataError(f"Earth Engine refuses {what}: {said}" + (f"; {cure}" if cure else ""))

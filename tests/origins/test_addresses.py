"""What is recorded of an address."""

import pytest

from mlssm.origins.addresses import bare_address


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://a.org/x.tif", "https://a.org/x.tif"),
        ("https://me:pass@a.org/x.tif", "https://a.org/x.tif"),
        (
            "https://a.blob.core.windows.net/c/x.tif?st=2026&se=2027&sp=rl&sv=2021-06-08&sr=c&sig=abc%3D",
            "https://a.blob.core.windows.net/c/x.tif",
        ),
        ("https://a.org/x?X-Amz-Signature=1&X-Amz-Credential=2&X-Amz-Expires=3&version=4", "https://a.org/x?version=4"),
        ("https://a.org/x?token=1&api_key=2&AWSAccessKeyId=3&b=4", "https://a.org/x?b=4"),
        # without a signature `st` is what it is called
        ("https://a.org/data?st=MD&bbox=1,2&dataTypes=PRCP", "https://a.org/data?st=MD&bbox=1,2&dataTypes=PRCP"),
        ("https://a.org/data?startDate=2020-01-01T00:00:00#part", "https://a.org/data?startDate=2020-01-01T00:00:00"),
    ],
)
def test_nothing_that_signs_or_is_secret_stays(url: str, bare: str) -> None:
    assert bare_address(url) == bare

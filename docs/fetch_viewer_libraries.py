"""Fetch the libraries of the maps' viewer from npm, at stated versions, into the package.

Run it to change a version; what it writes is kept in the repository, so that the viewer works offline:

    python docs/fetch_viewer_libraries.py
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import requests

VENDOR = Path(__file__).parents[1] / "src" / "mlssm" / "mapping" / "viewer" / "vendor"
REGISTRY = "https://registry.npmjs.org"
# package: version, and the files that are kept of it, by the name that they are kept under
LIBRARIES = {
    "leaflet": (
        "1.9.4",
        {"dist/leaflet.js": "leaflet.js", "dist/leaflet.css": "leaflet.css", "LICENSE": "leaflet.LICENSE"},
    ),
    "uplot": (
        "1.6.32",
        {"dist/uPlot.iife.min.js": "uplot.js", "dist/uPlot.min.css": "uplot.css", "LICENSE": "uplot.LICENSE"},
    ),
}
SECONDS = 60


def main() -> None:
    """Fetch, check against npm's own digest, and write files and `versions.json`."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    versions = {}
    for name, (version, files) in LIBRARIES.items():
        about = requests.get(f"{REGISTRY}/{name}/{version}", timeout=SECONDS).json()
        archive = requests.get(about["dist"]["tarball"], timeout=SECONDS).content
        algorithm, _, wanted = about["dist"]["integrity"].partition("-")
        if base64.b64encode(hashlib.new(algorithm, archive).digest()).decode() != wanted:
            raise SystemExit(f"{name} {version}: what was fetched has not the digest that npm states")
        with tarfile.open(fileobj=io.BytesIO(archive)) as package:
            for inside, kept in files.items():
                member = package.extractfile(f"package/{inside}")
                if member is None:
                    raise SystemExit(f"{name} {version} has no file {inside}")
                (VENDOR / kept).write_bytes(member.read())
        versions[name] = {"version": version, "licence": about["license"], "integrity": about["dist"]["integrity"]}
        print(f"{name} {version}: {', '.join(files.values())}")
    (VENDOR / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Packs the platform's own code into an archive, for executors that do not see this machine's files."""

import tempfile
import zipfile
from pathlib import Path

__all__ = ["ARCHIVE", "PACKAGES", "write_code_archive"]

PACKAGES = ("dsl", "giornata", "jobs")
ARCHIVE = "giornata.zip"

# A fixed time: the same code gives the same archive.
_DATE = (1980, 1, 1, 0, 0, 0)


def write_code_archive(root: Path, folder: Path | None = None) -> Path:
    """Write the modules of PACKAGES below `root` into a new ZIP in `folder` (a temporary one), from which Python
    imports; Spark sends it to executors as one of its `--py-files`."""
    archive = Path(folder or tempfile.mkdtemp(prefix="giornata-code-")) / ARCHIVE
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for package in PACKAGES:
            for file in sorted((root / package).rglob("*.py")):
                entry = zipfile.ZipInfo(file.relative_to(root).as_posix(), _DATE)
                entry.external_attr = 0o644 << 16
                written.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return archive

"""The environments of peers whose libraries conflict with ours: created in build/bench when they are missing."""

import subprocess
import sys
from pathlib import Path

from bench.figures import FOLDER

__all__ = ["PEERS", "peer_python"]

# Polars and RE2 are what the feature language needs, which is measured in the same process.
PEERS = {"feast": ("feast[cassandra,duckdb]==0.67.0", "google-re2", "polars")}


def peer_python(peer: str) -> Path:
    """The Python of a peer's environment; it is created again if its requirements changed."""
    folder = FOLDER / "environments" / peer
    python, made_of = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(PEERS[peer])
    if not made_of.is_file() or made_of.read_text() != wanted:
        uv = str(Path(sys.executable).parent / "uv")
        print(f"making {folder} of {', '.join(PEERS[peer])}", flush=True)
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True
        )
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *PEERS[peer]], check=True)
        made_of.write_text(wanted)
    return python

"""Lists the benchmarks, or runs one with what it needs: `python -m bench [NAME [ITS OPTIONS]]`.

A benchmark is a module here that says in `NEEDS` what must be there: `stack`, the local stack's stores, which are
started and stay up, or a peer of bench/environments.py, whose environment is made. `RUN_BY` names the peer whose
Python runs it.
"""

import ast
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.environments import peer_python
from bench.figures import ROOT
from stack.services import STORES

STATED = ("NEEDS", "RUN_BY")


def benchmarks() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """{name: (its first line, {NEEDS, RUN_BY})}; no benchmark is imported."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        module = ast.parse(file.read_text(encoding="utf-8"))
        stated = {
            line.targets[0].id: ast.literal_eval(line.value)
            for line in module.body
            if isinstance(line, ast.Assign)
            and isinstance(line.targets[0], ast.Name)
            and line.targets[0].id in STATED
        }
        if "NEEDS" in stated:
            found[file.stem] = ((ast.get_docstring(module) or "").splitlines()[0], stated)
    return found


def main(arguments: list[str]) -> int:
    """List them, or run one and give its exit code."""
    known = benchmarks()
    if not arguments:
        for name, (line, stated) in known.items():
            needs = f" (needs {', '.join(stated['NEEDS'])})" if stated["NEEDS"] else ""
            print(f"{name:<22} {line}{needs}")
        return 0
    name, *options = arguments
    if name not in known:
        print(f"there is no benchmark {name!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    _, stated = known[name]
    if "stack" in stated["NEEDS"]:
        subprocess.run([sys.executable, "-m", "stack", "up", *STORES], cwd=ROOT, check=True)
    python = str(peer_python(stated["RUN_BY"])) if "RUN_BY" in stated else sys.executable
    return subprocess.run([python, "-m", f"bench.{name}", *options], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

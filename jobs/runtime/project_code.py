"""Imports the Python files of a project.

A project's folder is a package below `giornata_projects`, whatever its name, so that its files import one another by
relative imports, a copied project uses its own files, and no project can hide a library.
"""

import importlib
import sys
import threading
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pyspark import cloudpickle

PACKAGE = "giornata_projects"

_IMPORTING = threading.Lock()


def load(folder: Path, part: str, name: str) -> ModuleType:
    """The module of the file `<part>/<name>.py` in the project `folder`; `name` may contain a dot.

    What the files of the project import from one another is imported once, and anew after one of them has changed.
    Errors of the file are passed on: its author needs the traceback.
    """
    with _IMPORTING:
        return _load(folder, part, name)


def _load(folder: Path, part: str, name: str) -> ModuleType:
    files = _states(folder)
    if getattr(sys.modules.get(PACKAGE), "files", None) != files:
        _begin_anew(folder, files)
    parent = f"{PACKAGE}.{folder.name}.{part}"
    if "." not in name:
        return importlib.import_module(f"{parent}.{name}")
    importlib.import_module(parent)
    spec = spec_from_file_location(f"{parent}.{name.replace('.', '_')}", folder / part / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _begin_anew(folder: Path, files: dict[str, tuple[int, int]]) -> None:
    """Forget the files that were imported before, of whatever project."""
    for loaded in [module for module in sys.modules if module.split(".")[0] == PACKAGE]:
        del sys.modules[loaded]
    package = ModuleType(PACKAGE)
    package.__path__ = [str(folder.parent)]
    vars(package)["files"] = files
    sys.modules[PACKAGE] = package
    # Executors know no such package: functions that Spark sends them travel with their code.
    cloudpickle.register_pickle_by_value(package)  # type: ignore[no-untyped-call]  # Spark's copy has no types
    importlib.invalidate_caches()


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    """Time of change (ns) and size (bytes) of each Python file of a project."""
    states = ((file, file.stat()) for file in sorted(folder.rglob("*.py")))
    return {str(file): (state.st_mtime_ns, state.st_size) for file, state in states}

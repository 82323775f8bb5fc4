"""Shared by the processes that fork others for bundles: modules to import beforehand, and memory limits."""

import contextlib
import resource
import sys
from pathlib import Path

from giornata.models import MODEL_TYPES


def import_xgboost() -> None:
    """Import XGBoost before forking, so that forks share it; without scikit-learn, which takes many times as long to
    import."""
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # which is how an import fails
    try:
        with contextlib.suppress(Exception):
            import xgboost  # noqa: F401
    finally:
        del sys.modules["sklearn"]


def import_models() -> None:
    """The classes of all model types' models, which import what they answer with."""
    for type_ in MODEL_TYPES.values():
        _ = type_.fitted


def forget_xgboost() -> None:
    """Let XGBoost be imported again with scikit-learn, which a project's class may need."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "xgboost"]:
        del sys.modules[name]


def limit(memory: int) -> None:
    """Limit this process to so many bytes more than it has now, if the system supports that."""
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

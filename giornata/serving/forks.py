"""What processes that fork others for bundles have in common: what they import beforehand, and bounds of memory."""

import contextlib
import resource
import sys
from pathlib import Path

from giornata.models import MODEL_TYPES


def import_xgboost() -> None:
    """Forks share what was imported. Without scikit-learn, whose import takes many times as long as XGBoost's own."""
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
    """A project's class may want it with scikit-learn: let it be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "xgboost"]:
        del sys.modules[name]


def limit(memory: int) -> None:
    """Let this process take so many bytes more than it has, where the system can be told."""
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

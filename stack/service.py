"""One server of the local stack: its start command, its ports, the services it needs, and its readiness check."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyspark

from stack import readiness
from stack.installation import Installation
from stack.ports import LOOPBACK
from stack.prerequisites import java_command

__all__ = ["SPARK_CLASS_PATH", "SPARK_JARS", "Service", "flags", "java"]

SPARK_JARS = Path(pyspark.__file__).parent / "jars"

# In Spark's own order, which the archive of shared classes was made with: see `jobs.runtime.shared_classes`.
SPARK_CLASS_PATH = f"{next(SPARK_JARS.glob('slf4j-api-*.jar'))}:{SPARK_JARS}/*"


@dataclass(frozen=True)
class Service:
    """One server. `ports` names those it opens; it is checked at `asked_at`, else at the first of them.

    `needs` names the services that must answer before it starts; `timeout` is in seconds. `prepare` runs once it
    answers and before the services that need it start. An `optional` one starts only by its name.
    """

    name: str
    command: list[str]
    ports: tuple[str, ...]
    needs: tuple[str, ...] = ()
    asked_at: str = ""
    timeout: int = 300
    prepare: Callable[[Installation], None] | None = None
    optional: bool = False

    def port_name(self) -> str:
        """Name of the port at which the service is checked."""
        return self.asked_at or self.ports[0]

    def address(self, installation: Installation) -> tuple[str, int]:
        """Host and port at which the service is checked."""
        return LOOPBACK, getattr(installation.ports, self.port_name())

    def check(self, installation: Installation) -> None:
        """Raise `readiness.NotReadyError` unless the service answers."""
        readiness.CHECKS[self.name](*self.address(installation))


def java() -> str:
    """The Java that servers are started with."""
    return java_command() or "java"


def flags(option: str, packages: Iterable[str]) -> list[str]:
    """`option package=ALL-UNNAMED` for each package of Java to open."""
    return [part for package in packages for part in (option, f"{package}=ALL-UNNAMED")]

"""One local stack: its state folder, its ports, and the environment of its servers."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from giornata.settings import OF_CASSANDRA, OF_OTHER_SERVERS, OF_THE_CLUSTER, OF_THE_LOG, OF_THE_SERVER
from giornata.spark_submit import SHORT_LIVED_JVM, with_shared_classes
from stack.errors import StackError
from stack.ports import DEFAULT_FILE, LOOPBACK, Ports, load_ports
from stack.prerequisites import java_command

REPOSITORY = Path(__file__).resolve().parents[1]

# Logins of a laptop: Airflow listens on the loopback interface alone.
AIRFLOW_PASSWORDS = {"admin": "admin", "viewer": "viewer"}
AIRFLOW_ROLES = {"admin": "admin", "viewer": "viewer"}

# Two executors of one core and 1024 MB on this machine.
SPARK_MASTER = "local-cluster[2,1,1024]"
MAIL_FROM = "giornata@example.com"

# Spark jobs of Airflow's take their slots from this pool. A job takes some 3 GB and much of a core; the servers, 8 GB.
SPARK_POOL = "giornata_spark"
_GIGABYTES_OF_SERVERS = 8
_GIGABYTES_OF_A_JOB = 3
# Tasks beside them, such as deployments: they wait for nothing.
_LIGHT_TASKS = 4

# A program that a user configured for something else must not change what our servers do.
_NOT_INHERITED = (
    "AIRFLOW",
    "GIORNATA",
    "HADOOP",
    "HIVE",
    "MLFLOW",
    "PYSPARK",
    "PYTHON",
    "SPARK",
    "SUPERVISOR",
)
# Unix refuses longer paths for a socket (104 on macOS, 108 on Linux).
_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Installation:
    """One local stack. Two with different homes and ports run side by side."""

    home: Path
    ports: Ports
    projects: Path = REPOSITORY / "projects"
    spark_master: str = SPARK_MASTER
    warehouse_address: str = ""
    metastore_database: str = field(default="", repr=False)  # it may name a password
    mail_from: str = MAIL_FROM
    repository: Path = REPOSITORY
    # Spark jobs that Airflow runs at once.
    spark_slots: int = field(default_factory=lambda: slots_of_this_machine())
    # Settings of the cluster that trains and of the prediction log, by variable name.
    cluster: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)

    def __post_init__(self) -> None:
        if len(str(self.supervisor_socket)) > _LONGEST_SOCKET_PATH:
            raise StackError(
                f"the path of the state folder {self.home} is too long for a socket in it: "
                f"set GIORNATA_HOME to a folder of at most {_LONGEST_SOCKET_PATH - 16} characters"
            )

    @property
    def configuration(self) -> Path:
        """Folder of the servers' rendered configuration."""
        return self.home / "conf"

    @property
    def logs(self) -> Path:
        """Folder of the servers' logs, one file each."""
        return self.home / "log"

    @property
    def mails(self) -> Path:
        """Folder of the mails that the mail sink received."""
        return self.home / "mail"

    @property
    def warehouse(self) -> str:
        """Folder of Hive's databases, on this machine or as an address of a Hadoop file system."""
        return self.warehouse_address or str(self.home / "warehouse")

    @property
    def metastore_url(self) -> str:
        """The metastore's database, for JDBC: a Derby of its own unless another is named."""
        return self.metastore_database or f"jdbc:derby:;databaseName={self.home}/metastore/db;create=true"

    @property
    def supervisor_socket(self) -> Path:
        """The supervisor's socket."""
        return self.home / "supervisor.sock"

    @property
    def supervisor_url(self) -> str:
        """The supervisor's address. Every process of the stack carries it in SUPERVISOR_SERVER_URL."""
        return f"unix://{self.supervisor_socket}"

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder."""
        return self.home / "airflow"

    @property
    def cassandra_jars(self) -> Path:
        """Folder that `make jars` fills."""
        return self.repository / "build" / "jars" / "cassandra"

    @property
    def cluster_jars(self) -> Path:
        """Folder that `make cluster-jars` fills, for YARN and HDFS."""
        return self.repository / "build" / "jars" / "cluster"

    @property
    def hadoop_configuration(self) -> Path:
        """Folder of Hadoop's rendered configuration, for HADOOP_CONF_DIR."""
        return self.configuration / "hadoop"

    @property
    def binaries(self) -> Path:
        """Folder of the Python environment's programs."""
        return Path(sys.executable).parent

    def variables(self) -> dict[str, str]:
        """The settings of this installation by variable name, as `giornata.settings` reads them."""
        ports = self.ports
        return {
            "GIORNATA_HOME": str(self.home),
            "GIORNATA_PROJECTS": str(self.projects),
            "GIORNATA_CASSANDRA": f"{LOOPBACK}:{ports.cassandra}",
            "GIORNATA_METASTORE": f"thrift://{LOOPBACK}:{ports.metastore}",
            "GIORNATA_WAREHOUSE": self.warehouse,
            "GIORNATA_HIVESERVER": f"{LOOPBACK}:{ports.thriftserver}",
            "GIORNATA_SMTP": f"{LOOPBACK}:{ports.mail}",
            "GIORNATA_MAIL_FROM": self.mail_from,
            "GIORNATA_SERVING": f"http://{LOOPBACK}:{ports.serving}",
            "GIORNATA_AIRFLOW": f"http://{LOOPBACK}:{ports.airflow}",
            "GIORNATA_BUNDLES": str(self.home / "bundles"),
            "GIORNATA_PREDICTION_LOG": str(self.home / "prediction_log"),
            "GIORNATA_MLFLOW": f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}",
            "GIORNATA_SPARK_MASTER": self.spark_master,
            "GIORNATA_SPARK_POOL": SPARK_POOL,
            **self.cluster,
        }

    def airflow_login(self) -> dict[str, str]:
        """The login of commands that start runs, by variable name; no server needs it."""
        user = next(iter(AIRFLOW_PASSWORDS))
        return {"GIORNATA_AIRFLOW_USER": user, "GIORNATA_AIRFLOW_PASSWORD": AIRFLOW_PASSWORDS[user]}

    def environment(self, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The environment of every server and of what the servers start (Airflow's tasks, Spark jobs)."""
        kept = {name: value for name, value in inherited.items() if not name.startswith(_NOT_INHERITED)}
        folders = [str(self.binaries), *self._java_folder(), *kept["PATH"].split(os.pathsep)]
        direct = [LOOPBACK, "localhost", *filter(None, kept.get("NO_PROXY", "").split(","))]
        no_proxy = ",".join(dict.fromkeys(direct))
        return {
            **kept,
            "PATH": os.pathsep.join(dict.fromkeys(folders)),
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            "TZ": "UTC",
            "PYTHONPATH": str(self.repository),
            "PYTHONUNBUFFERED": "1",
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": LOOPBACK,
            "SPARK_CONF_DIR": str(self.configuration),
            "HADOOP_CONF_DIR": str(self.hadoop_configuration),
            "SPARK_SUBMIT_OPTS": with_shared_classes(SHORT_LIVED_JVM),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GX_ANALYTICS_ENABLED": "false",
            **self.variables(),
            **self._airflow_environment(),
        }

    def _java_folder(self) -> list[str]:
        java = java_command()
        return [str(Path(java).parent)] if java else []

    def _airflow_environment(self) -> dict[str, str]:
        url = self.variables()["GIORNATA_AIRFLOW"]
        smtp = {"conn_type": "smtp", "host": LOOPBACK, "port": self.ports.mail}
        smtp_extra = {"disable_ssl": True, "disable_tls": True, "from_email": self.mail_from}
        return {
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.repository / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.repository / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # A Spark job is a JVM and its workers: two at a time fit a laptop.
            "AIRFLOW__CORE__PARALLELISM": str(self.spark_slots + _LIGHT_TASKS),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{user}:{role}" for user, role in AIRFLOW_ROLES.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.airflow_home / "passwords.json"),
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(self.ports.airflow),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS": "False",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
                [{"name": "projects", "classpath": "dags.projects.ProjectsBundle", "kwargs": {}}]
            ),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.airflow_home / "bundles"),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__TRIGGERER__DEFAULT_CAPACITY": "100",
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
            "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps({**smtp, "extra": smtp_extra}),
        }


def slots_of_this_machine() -> int:
    """The number of Spark jobs that this machine has room for at once: one per core, as far as its memory goes."""
    for_jobs = psutil.virtual_memory().total / 2**30 - _GIGABYTES_OF_SERVERS
    return max(1, min(os.cpu_count() or 1, int(for_jobs / _GIGABYTES_OF_A_JOB)))


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The state folder that GIORNATA_HOME names, else `.local` in the repository."""
    return Path(environ.get("GIORNATA_HOME") or REPOSITORY / ".local").absolute()


def installation(environ: Mapping[str, str] = os.environ) -> Installation:
    """The installation that the environment describes.

    GIORNATA_HOME, GIORNATA_PORTS (a ports file), GIORNATA_PROJECTS, GIORNATA_WAREHOUSE,
    GIORNATA_METASTORE_DATABASE (a JDBC URL of PostgreSQL), GIORNATA_SPARK_MASTER, GIORNATA_SPARK_SLOTS,
    GIORNATA_MAIL_FROM and the variables of `giornata.settings` about Cassandra, the cluster and the prediction log may
    be set.
    Raises `StackError` for a wrong ports file or number of slots.
    """
    return Installation(
        default_home(environ),
        load_ports(Path(environ.get("GIORNATA_PORTS") or DEFAULT_FILE)),
        Path(environ.get("GIORNATA_PROJECTS") or REPOSITORY / "projects").absolute(),
        environ.get("GIORNATA_SPARK_MASTER") or SPARK_MASTER,
        mail_from=environ.get("GIORNATA_MAIL_FROM") or MAIL_FROM,
        warehouse_address=environ.get("GIORNATA_WAREHOUSE") or "",
        metastore_database=environ.get("GIORNATA_METASTORE_DATABASE") or "",
        spark_slots=_slots(environ.get("GIORNATA_SPARK_SLOTS") or str(slots_of_this_machine())),
        cluster={
            name: environ[name]
            for name in (*OF_CASSANDRA, *OF_THE_CLUSTER, *OF_THE_LOG, *OF_THE_SERVER, *OF_OTHER_SERVERS)
            if environ.get(name)
        },
    )


def _slots(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise StackError(
            f"GIORNATA_SPARK_SLOTS is {text!r}: expected how many Spark jobs run at once, 1 to 1000"
        )
    return int(text)

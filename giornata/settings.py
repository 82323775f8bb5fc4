"""The settings of one installation: addresses of its servers, and folders.

Values come from environment variables, else from the file `$GIORNATA_HOME/giornata.env` that the local stack writes
when it starts. Each is looked up when it is used: a process that never talks to Cassandra needs no GIORNATA_CASSANDRA.
Opens no connection.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from giornata.errors import SettingsError

HOME = "GIORNATA_HOME"
FILE_NAME = "giornata.env"

_ADDRESS = re.compile(r"[^\s:/,]+:\d{1,5}")
_URL = re.compile(r"https?://[^\s/]+\S*")
_ADDRESSES = re.compile(rf"{_ADDRESS.pattern}(,{_ADDRESS.pattern})*")
_ENCRYPTION = re.compile("none|starttls|tls")
_YES_OR_NO = re.compile("yes|no")
_LEVELS = "ONE, LOCAL_ONE, QUORUM, LOCAL_QUORUM, EACH_QUORUM or ALL"
_CONSISTENCY = re.compile(r"ONE|LOCAL_ONE|QUORUM|LOCAL_QUORUM|EACH_QUORUM|ALL")
_REPLICAS = re.compile(r"[1-9]\d?|[\w-]+:[1-9]\d?(,[\w-]+:[1-9]\d?)*")
_THRIFT = re.compile(r"thrift://[^\s/:]+:\d{1,5}")
_ANY = re.compile(r".+")
_WAREHOUSE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/]*(/\S*)?|(?![a-z0-9+.-]+:/).+")
_SECONDS = re.compile(r"[1-9]\d{0,5}")
_DAYS = re.compile(r"[1-9]\d{0,4}")
_SIZE = re.compile(r"([1-9]\d{0,8})([kmgt]?)")
_TIMEOUT = re.compile(r"[1-9]\d{0,3}|[1-5]\d{4}|60000")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

# How long a job waits for its first executor, where nobody says otherwise: a busy cluster lets jobs queue.
_EXECUTOR_WAIT = 1800

_UNITS: dict[str, int] = {unit: 1024**power for power, unit in enumerate(("", "k", "m", "g", "t"))}

# What may be said of the prediction log, on the local stack too.
OF_THE_LOG = (
    "GIORNATA_PREDICTION_LOG_BYTES",
    "GIORNATA_PREDICTION_LOG_KEPT",
    "GIORNATA_PREDICTION_LOG_KEPT_BYTES",
)

# What may be said of the prediction server, on the local stack too.
OF_THE_SERVER = ("GIORNATA_REQUEST_TIMEOUT_MS",)

# Enough for thousands of rows through a project's own functions; a caller that waits less long says so.
_REQUEST_TIMEOUT_MS = 5000

# What may be said of Cassandra beside its address, on the local stack too.
OF_CASSANDRA = (
    "GIORNATA_CASSANDRA_DATACENTER",
    "GIORNATA_CASSANDRA_USER",
    "GIORNATA_CASSANDRA_PASSWORD",
    "GIORNATA_CASSANDRA_PASSWORD_FILE",
    "GIORNATA_CASSANDRA_AUTHORITY",
    "GIORNATA_CASSANDRA_CERTIFICATE",
    "GIORNATA_CASSANDRA_CHECK_HOST",
    "GIORNATA_CASSANDRA_CONSISTENCY",
    "GIORNATA_CASSANDRA_FEATURE_CONSISTENCY",
    "GIORNATA_CASSANDRA_REPLICATION",
)

# What may be said of the SQL endpoint and the mail server beside their addresses, on the local stack too.
OF_OTHER_SERVERS = (
    "GIORNATA_HIVESERVER_USER",
    "GIORNATA_HIVESERVER_PASSWORD",
    "GIORNATA_HIVESERVER_PASSWORD_FILE",
    "GIORNATA_HIVESERVER_KERBEROS",
    "GIORNATA_HIVESERVER_AUTHORITY",
    "GIORNATA_SMTP_ENCRYPTION",
    "GIORNATA_SMTP_USER",
    "GIORNATA_SMTP_PASSWORD",
    "GIORNATA_SMTP_PASSWORD_FILE",
    "GIORNATA_SMTP_AUTHORITY",
)

# What may be said of the cluster that trains; the local stack needs none of it and hands on what is set.
OF_THE_CLUSTER = (
    "GIORNATA_SPARK_MASTER_WEB",
    "GIORNATA_SPARK_ENVIRONMENT",
    "GIORNATA_EXECUTOR_WAIT",
    "GIORNATA_KUBERNETES_IMAGE",
    "GIORNATA_KUBERNETES_NAMESPACE",
    "GIORNATA_KUBERNETES_SERVICE_ACCOUNT",
    "GIORNATA_KUBERNETES_GPU_SCRIPT",
)


@dataclass(frozen=True)
class Settings:
    """One installation. Reading an attribute whose variable is missing or malformed raises `SettingsError`.

    `variables` are the raw values by variable name, which a child process needs to find the same installation.
    """

    home: Path
    variables: Mapping[str, str] = field(hash=False, repr=False)

    @property
    def projects(self) -> Path:
        """Folder of projects, one folder each."""
        return self._folder("GIORNATA_PROJECTS")

    @property
    def documents(self) -> Path:
        """Folder of the copies of documents for runs, see `giornata.documents.snapshots`."""
        return self.home / "documents"

    @property
    def cassandra(self) -> str:
        """Cassandra's contact points, `host:port`, several joined by commas."""
        return self._value("GIORNATA_CASSANDRA", _ADDRESSES, "host:port, or several with commas between")

    @property
    def cassandra_datacenter(self) -> str | None:
        """Cassandra's data centre that is asked; None: that of the contact points."""
        return self._optional("GIORNATA_CASSANDRA_DATACENTER", _ANY, "the name of a data centre")

    @property
    def cassandra_user(self) -> str | None:
        """Cassandra's user; None: no login."""
        return self._optional("GIORNATA_CASSANDRA_USER", _ANY, "a user of Cassandra")

    @property
    def cassandra_password(self) -> str:
        """Password of that user."""
        return self._secret("GIORNATA_CASSANDRA_PASSWORD", "the password of that user")

    @property
    def cassandra_authority(self) -> Path | None:
        """PEM file of the authority that signed Cassandra's certificates; None: no TLS."""
        return self._file("GIORNATA_CASSANDRA_AUTHORITY", "a PEM file of certificates")

    @property
    def cassandra_certificate(self) -> Path | None:
        """PEM file of our own certificate and its key; None: Cassandra asks for none."""
        return self._file("GIORNATA_CASSANDRA_CERTIFICATE", "a PEM file of a certificate and its key")

    @property
    def cassandra_checks_host(self) -> bool:
        """Whether the certificate of a node must be about the address at which it is reached."""
        return self._optional("GIORNATA_CASSANDRA_CHECK_HOST", _YES_OR_NO, "yes or no") != "no"

    @property
    def cassandra_consistency(self) -> str:
        """Consistency of reads and writes other than the reads of features online."""
        return self._optional("GIORNATA_CASSANDRA_CONSISTENCY", _CONSISTENCY, _LEVELS) or "LOCAL_QUORUM"

    @property
    def cassandra_feature_consistency(self) -> str:
        """Consistency of the reads of features online."""
        return self._optional("GIORNATA_CASSANDRA_FEATURE_CONSISTENCY", _CONSISTENCY, _LEVELS) or "LOCAL_ONE"

    @property
    def cassandra_replicas(self) -> dict[str, int]:
        """Replicas by data centre in keyspaces that are made; the key `replication_factor` is all data centres."""
        text = self._optional("GIORNATA_CASSANDRA_REPLICATION", _REPLICAS, "3, or dc1:3,dc2:2") or "1"
        if text.isdecimal():
            return {"replication_factor": int(text)}
        return {name: int(count) for name, _, count in (each.rpartition(":") for each in text.split(","))}

    @property
    def metastore(self) -> str:
        """Hive metastore, `thrift://host:port`."""
        return self._value("GIORNATA_METASTORE", _THRIFT, "thrift://host:port")

    @property
    def warehouse(self) -> str:
        """Where Hive's databases lie: a folder, or an address such as `hdfs://host:port/folder` or `s3a://bucket`."""
        found = self._value(
            "GIORNATA_WAREHOUSE", _WAREHOUSE, "a folder, hdfs://host:port/folder or s3a://bucket"
        )
        return found if "://" in found else str(Path(found).absolute())

    @property
    def hiveserver(self) -> str:
        """SQL endpoint that speaks HiveServer2's protocol, `host:port`."""
        return self._value("GIORNATA_HIVESERVER", _ADDRESS, "host:port")

    @property
    def hiveserver_user(self) -> str | None:
        """User of the SQL endpoint; None: it asks for no login."""
        return self._optional("GIORNATA_HIVESERVER_USER", _ANY, "a user of the SQL endpoint")

    @property
    def hiveserver_password(self) -> str:
        """Password of that user, as HiveServer2's LDAP and CUSTOM authentication ask for."""
        return self._secret("GIORNATA_HIVESERVER_PASSWORD", "the password of that user")

    @property
    def hiveserver_service(self) -> str | None:
        """Kerberos service of the SQL endpoint, such as `hive`; None: no Kerberos."""
        return self._optional("GIORNATA_HIVESERVER_KERBEROS", _LABEL, "the name of a Kerberos service")

    @property
    def hiveserver_authority(self) -> Path | None:
        """PEM file of the authority that signed the SQL endpoint's certificate; None: no TLS."""
        return self._file("GIORNATA_HIVESERVER_AUTHORITY", "a PEM file of certificates")

    @property
    def smtp(self) -> str:
        """Mail server, `host:port`."""
        return self._value("GIORNATA_SMTP", _ADDRESS, "host:port")

    @property
    def smtp_encryption(self) -> str:
        """Encryption of the connection to the mail server: `none`, `starttls`, or `tls` (implicit TLS)."""
        return self._optional("GIORNATA_SMTP_ENCRYPTION", _ENCRYPTION, "none, starttls or tls") or "none"

    @property
    def smtp_user(self) -> str | None:
        """The mail server's user; None: no login."""
        return self._optional("GIORNATA_SMTP_USER", _ANY, "a user of the mail server")

    @property
    def smtp_password(self) -> str:
        """Password of that user."""
        return self._secret("GIORNATA_SMTP_PASSWORD", "the password of that user")

    @property
    def smtp_authority(self) -> Path | None:
        """PEM file of the authority that signed the mail server's certificate; None: those that this machine trusts."""
        return self._file("GIORNATA_SMTP_AUTHORITY", "a PEM file of certificates")

    @property
    def mail_from(self) -> str:
        """Sender of Giornata's mails."""
        return self._value("GIORNATA_MAIL_FROM", re.compile(r"[^\s@]+@[^\s@]+"), "name@host")

    @property
    def serving(self) -> str:
        """Prediction server's URL, without a slash at the end."""
        return self._value("GIORNATA_SERVING", _URL, "http://host:port").rstrip("/")

    @property
    def request_timeout(self) -> float:
        """Seconds within which the prediction server answers a request that states no deadline of its own."""
        found = self._optional("GIORNATA_REQUEST_TIMEOUT_MS", _TIMEOUT, "milliseconds from 1 to 60000")
        return int(found or _REQUEST_TIMEOUT_MS) / 1000

    @property
    def airflow(self) -> str:
        """Airflow's URL, without a slash at the end."""
        return self._value("GIORNATA_AIRFLOW", _URL, "http://host:port").rstrip("/")

    @property
    def airflow_user(self) -> str:
        """The Airflow user of commands that start runs."""
        return self._value("GIORNATA_AIRFLOW_USER", _ANY, "a user of Airflow")

    @property
    def airflow_password(self) -> str:
        """Password of that user."""
        return self._secret("GIORNATA_AIRFLOW_PASSWORD", "the password of that user")

    @property
    def bundles(self) -> Path:
        """Folder of deployed model bundles."""
        return self._folder("GIORNATA_BUNDLES")

    @property
    def prediction_log(self) -> Path:
        """Folder in which the prediction server logs its predictions."""
        return self._folder("GIORNATA_PREDICTION_LOG")

    @property
    def prediction_log_bytes(self) -> int:
        """Bytes that may wait in the prediction log to be collected; after that, predictions are not logged."""
        return self._size("GIORNATA_PREDICTION_LOG_BYTES", "10g")

    @property
    def prediction_log_kept(self) -> timedelta:
        """How long collected segments and rejected lines of the prediction log are kept."""
        return timedelta(days=int(self._optional("GIORNATA_PREDICTION_LOG_KEPT", _DAYS, "whole days") or 7))

    @property
    def prediction_log_kept_bytes(self) -> int:
        """Bytes of them that are kept for each model."""
        return self._size("GIORNATA_PREDICTION_LOG_KEPT_BYTES", "1g")

    @property
    def mlflow(self) -> str:
        """MLflow's tracking URI."""
        return self._value("GIORNATA_MLFLOW", _ANY, "a tracking URI")

    @property
    def spark_master(self) -> str:
        """Spark master of training jobs."""
        return self._value("GIORNATA_SPARK_MASTER", _ANY, "a Spark master")

    @property
    def spark_pool(self) -> str:
        """Airflow's pool that Spark jobs take their slots from."""
        return self._optional("GIORNATA_SPARK_POOL", _ANY, "the name of a pool in Airflow") or "default_pool"

    @property
    def spark_master_web(self) -> str | None:
        """Web address of a standalone Spark master, whose JSON describes the cluster; None: the cluster is not
        asked."""
        found = self._optional("GIORNATA_SPARK_MASTER_WEB", _URL, "http://host:port")
        return found.rstrip("/") if found else None

    @property
    def spark_environment(self) -> str | None:
        """Archive of a Python environment for the executors, which run its `bin/python`; None: they have Python
        already."""
        return self._optional("GIORNATA_SPARK_ENVIRONMENT", _ANY, "a .tar.gz of a Python environment")

    @property
    def executor_wait(self) -> int:
        """Seconds that a job waits for its first executor."""
        return int(self._optional("GIORNATA_EXECUTOR_WAIT", _SECONDS, "whole seconds") or _EXECUTOR_WAIT)

    @property
    def kubernetes_image(self) -> str:
        """Container image of the executors on Kubernetes."""
        return self._value("GIORNATA_KUBERNETES_IMAGE", _ANY, "the image of Spark's executors")

    @property
    def kubernetes_namespace(self) -> str | None:
        """Namespace of the executors on Kubernetes; None: Spark's default."""
        return self._optional("GIORNATA_KUBERNETES_NAMESPACE", _LABEL, "a namespace")

    @property
    def kubernetes_service_account(self) -> str | None:
        """Service account of the executors on Kubernetes; None: the namespace's default."""
        return self._optional("GIORNATA_KUBERNETES_SERVICE_ACCOUNT", _LABEL, "a service account")

    @property
    def kubernetes_gpu_script(self) -> str | None:
        """Path, in the image, of the script that tells Spark its GPUs; None: where Spark's own images have it."""
        return self._optional("GIORNATA_KUBERNETES_GPU_SCRIPT", _ANY, "a path in the image")

    def _size(self, variable: str, usual: str) -> int:
        text = self._optional(variable, _SIZE, "bytes, such as 512m or 10g") or usual
        unit = text[-1] if text[-1] in _UNITS else ""
        return int(text.removesuffix(unit)) * _UNITS[unit]

    def _optional(self, variable: str, form: re.Pattern[str], described: str) -> str | None:
        return self._value(variable, form, described) if self.variables.get(variable) else None

    def _file(self, variable: str, described: str) -> Path | None:
        """The file that a variable names, which must exist."""
        named = self._optional(variable, _ANY, described)
        if named and not Path(named).is_file():
            raise SettingsError(f"{variable} is {named!r}, and there is no such file: expected {described}")
        return Path(named).absolute() if named else None

    def _secret(self, variable: str, described: str) -> str:
        """A value that is shown nowhere: of the variable, or in the file that `<variable>_FILE` names."""
        file = self._file(f"{variable}_FILE", f"a file with {described}")
        if file is None:
            return self._value(variable, _ANY, described)
        try:
            secret = file.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable}_FILE: {file} cannot be read: {error}") from None
        if not secret:
            raise SettingsError(f"{variable}_FILE: {file} is empty: expected {described}")
        return secret

    def _folder(self, variable: str) -> Path:
        return Path(self._value(variable, _ANY, "a folder")).absolute()

    def _value(self, variable: str, form: re.Pattern[str], described: str) -> str:
        value = self.variables.get(variable, "")
        if not value:
            raise SettingsError(
                f"{variable} is not set, neither in the environment nor in {self.home / FILE_NAME}: "
                f"run this in the folder of the installation or set {HOME}, start the local stack with `make up`, "
                f"or set {variable} to {described}"
            )
        if not form.fullmatch(value):
            raise SettingsError(f"{variable} is {value!r}: expected {described}")
        return value


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings from `environ` and its `$GIORNATA_HOME/giornata.env`.

    GIORNATA_HOME defaults to `.local` in the working directory; the file may be absent. Raises `SettingsError` for a
    line of it that is not `NAME=value`, and for a file that cannot be read.
    """
    home = Path(environ.get(HOME) or ".local").absolute()
    file = home / FILE_NAME
    variables = _read(file) if file.is_file() else {}
    variables.update(
        {name: value for name, value in environ.items() if name.startswith("GIORNATA_") and value}
    )
    return Settings(home, {**variables, HOME: str(home)})


def _read(file: Path) -> dict[str, str]:
    variables = {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read ({error}); `make up` writes this file anew") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.isidentifier():
            raise SettingsError(
                f"{file}:{number}: {line!r} is not NAME=value; `make up` writes this file anew"
            )
        variables[name] = value
    return variables

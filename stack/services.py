"""The servers of the local stack: start commands, ports, and the services that each needs."""

import shlex
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter

from giornata.airflow_api import AirflowApi
from giornata.settings import load_settings
from giornata.spark_submit import SHORT_LIVED_JVM, with_shared_classes
from giornata.stores import cassandra
from stack.errors import StackError
from stack.hdfs import hdfs
from stack.installation import SPARK_POOL, Installation
from stack.ports import LOOPBACK
from stack.service import SPARK_CLASS_PATH, Service, flags, java
from stack.yarn import yarn

STORES = ("cassandra", "metastore", "thriftserver", "mail")

_CASSANDRA_EXPORTS = [
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
]
_CASSANDRA_OPENS = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.rmi/sun.rmi.transport.tcp",
    "jdk.management/com.sun.management.internal",
]
_METASTORE_OPENS = ["java.base/java.lang", "java.base/java.net", "java.base/java.util"]


def services(installation: Installation) -> dict[str, Service]:
    """Every service by name, in an order in which they can start."""
    found = [
        _cassandra(installation),
        _metastore(installation),
        _thriftserver(installation),
        _mail(installation),
        _serving(installation),
        *_airflow(installation),
        *yarn(installation),
        *hdfs(installation),
    ]
    return {service.name: service for service in found}


def with_needed(names: Iterable[str], known: dict[str, Service]) -> list[str]:
    """The named services and all they need, in an order in which they can start.

    Raises `StackError` for a name that is not a service.
    """
    graph: dict[str, tuple[str, ...]] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise StackError(f"there is no service {name!r}; the services are {', '.join(known)}")
        graph[name] = known[name].needs
        waiting.extend(need for need in known[name].needs if need not in graph)
    return list(TopologicalSorter(graph).static_order())


def _cassandra(installation: Installation) -> Service:
    (jamm,) = sorted(installation.cassandra_jars.glob("jamm-*.jar"))[-1:] or [installation.cassandra_jars]
    command = [
        *[java(), "-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"],
        *flags("--add-exports", _CASSANDRA_EXPORTS),
        *flags("--add-opens", _CASSANDRA_OPENS),
        f"-javaagent:{jamm}",
        f"-Dcassandra.config={(installation.configuration / 'cassandra.yaml').as_uri()}",
        f"-Dlogback.configurationFile={installation.configuration / 'logback.xml'}",
        f"-Dcassandra.storagedir={installation.home / 'cassandra'}",
        "-Dcassandra-foreground=yes",
        # There is one node: nothing to wait for.
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "-Dcassandra.ring_delay_ms=0",
        "-Dcassandra.superuser_setup_delay_ms=0",
        *["-cp", f"{installation.cassandra_jars}/*", "org.apache.cassandra.service.CassandraDaemon"],
    ]
    ports = ("cassandra", "cassandra_storage")
    return Service("cassandra", command, ports=ports, prepare=_create_tables)


def _create_tables(installation: Installation) -> None:
    settings = load_settings(installation.variables())
    with cassandra.session(settings) as session:
        cassandra.apply_schema(session, settings.cassandra_replicas)


def _metastore(installation: Installation) -> Service:
    drivers = installation.cluster_jars.glob("postgresql-*.jar") if installation.metastore_database else ()
    command = [
        *[java(), "-Xmx512m", *shlex.split(with_shared_classes(SHORT_LIVED_JVM))],
        f"-Dlog4j.configurationFile={installation.configuration / 'log4j2.properties'}",
        # With the default selector the metastore hangs in log4j.
        "-Dlog4j2.contextSelector=org.apache.logging.log4j.core.selector.BasicContextSelector",
        *flags("--add-opens", _METASTORE_OPENS),
        *["-cp", ":".join([SPARK_CLASS_PATH, str(installation.configuration), *map(str, drivers)])],
        *[str(installation.repository / "stack" / "LoopbackMetastore.java"), LOOPBACK],
        str(installation.ports.metastore),
    ]
    return Service("metastore", command, ports=("metastore",))


def _thriftserver(installation: Installation) -> Service:
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": installation.warehouse,
        "spark.hadoop.hive.metastore.uris": f"thrift://{LOOPBACK}:{installation.ports.metastore}",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.hive.metastorePartitionPruningInSetThreshold": "100",
        "spark.sql.hive.metastorePartitionPruningFallbackOnException": "true",
        "spark.sql.shuffle.partitions": "4",
    }
    java_options = (
        # Quoted, because Spark splits the options at spaces.
        f'"-Dlog4j.configurationFile={installation.configuration / "log4j2.properties"}" -Duser.timezone=UTC'
    )
    command = [
        str(installation.binaries / "spark-submit"),
        *["--master", "local[2]", "--driver-memory", "1g", "--driver-java-options", java_options],
        *[part for key, value in settings.items() for part in ("--conf", f"{key}={value}")],
        *["--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"],
    ]
    return Service("thriftserver", command, ports=("thriftserver",), needs=("metastore",))


def _mail(installation: Installation) -> Service:
    command = [
        sys.executable,
        "-m",
        "stack.mail_sink",
        LOOPBACK,
        str(installation.ports.mail),
        str(installation.mails),
    ]
    return Service("mail", command, ports=("mail",))


def _serving(installation: Installation) -> Service:
    command = [sys.executable, "-m", "giornata.serving", "--port", str(installation.ports.serving)]
    return Service("serving", command, ports=("serving",), needs=("cassandra",))


def _create_pool(installation: Installation) -> None:
    airflow = AirflowApi.of(load_settings({**installation.variables(), **installation.airflow_login()}))
    airflow.set_pool(SPARK_POOL, installation.spark_slots, "Spark jobs of Giornata that run at once")
    airflow.close()


def _airflow(installation: Installation) -> list[Service]:
    """Airflow's four processes, which `airflow standalone` would start too.

    Standalone also opens two log servers on every interface; on one machine the API server reads the logs
    from disk.
    """
    airflow = str(installation.binaries / "airflow")
    migrate_and_serve = f'"{airflow}" db migrate && exec "{airflow}" api-server'
    return [
        Service("airflow", ["/bin/sh", "-c", migrate_and_serve], ports=("airflow",), prepare=_create_pool),
        Service(
            "airflow-scheduler",
            [airflow, "scheduler", "--skip-serve-logs"],
            ports=(),
            # Its tasks use the stores, the mail server and the prediction server.
            needs=("airflow", "thriftserver", "serving", "mail"),
            asked_at="airflow",
        ),
        Service(
            "airflow-dag-processor",
            [airflow, "dag-processor"],
            ports=(),
            needs=("airflow",),
            asked_at="airflow",
        ),
        Service(
            "airflow-triggerer",
            [airflow, "triggerer", "--skip-serve-logs"],
            ports=(),
            needs=("airflow",),
            asked_at="airflow",
        ),
    ]

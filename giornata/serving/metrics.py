"""Counters and timers of the server, in Prometheus' text format.

The accuracy of models is not among them: labels come late, so it is computed from tables.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# From far below the goals (5 ms, 10 ms with features) to the point where a caller has given up.
LATENCY_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 10)


class Metrics:
    """All metrics of one server. Labels are names of loaded models and fixed words, never a caller's text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        GCCollector(self.registry)
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "giornata_requests",
            "Prediction requests answered with 200",
            ["model", "uuid"],
            registry=self.registry,
        )
        self.predictions = Counter(
            "giornata_predictions", "Rows predicted", ["model", "uuid"], registry=self.registry
        )
        self.seconds = Histogram(
            "giornata_request_seconds",
            "Time from the end of a prediction request to its answer, refused ones included",
            ["model"],
            buckets=LATENCY_SECONDS,
            registry=self.registry,
        )
        self.errors = Counter(
            "giornata_request_errors",
            "Requests not answered with 200, by kind",
            ["kind"],
            registry=self.registry,
        )
        self.feature_reads = Counter(
            "giornata_feature_reads",
            "Reads of the online feature store, one a request, by outcome (ok, degraded, failed)",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.missing_groups = Counter(
            "giornata_missing_feature_groups",
            "Requests for which a feature group could not be read: refused, or answered with its features null",
            ["model", "group"],
            registry=self.registry,
        )
        self.missing_rows = Counter(
            "giornata_missing_feature_rows",
            "Rows that had nothing of a feature group (no_row, too_old, before_history, not_read)",
            ["model", "group", "reason"],
            registry=self.registry,
        )
        self.refused_rows = Counter(
            "giornata_refused_rows",
            "Rows without an answer in requests answered with 200 (invalid, before_history, function_failed)",
            ["model", "kind"],
            registry=self.registry,
        )
        self.feature_seconds = Histogram(
            "giornata_feature_read_seconds",
            "Time of a request's read of the online feature store",
            ["model"],
            buckets=LATENCY_SECONDS,
            registry=self.registry,
        )
        self.replaced = Counter(
            "giornata_model_processes_replaced",
            "Processes of models ended or lost because of a project's own code, by what it did (late, ended)",
            ["model", "reason"],
            registry=self.registry,
        )
        self.logged = Counter("giornata_log_rows", "Predictions written to the log", registry=self.registry)
        self.dropped = Counter(
            "giornata_log_dropped_rows",
            "Predictions that did not reach the log: its queue was full, its folder at its bound, the disk failed, or "
            "the row cannot be written as JSON",
            ["reason"],
            registry=self.registry,
        )
        for reason in ("full", "bound", "disk", "unwritable"):
            self.dropped.labels(reason)
        self.followed = Gauge(
            "giornata_deployments_followed",
            "1 where the folder of deployed bundles can be followed, 0 where the loaded models serve on without",
            registry=self.registry,
        )
        self.loaded = Gauge(
            "giornata_models_loaded", "Model versions that answer requests", registry=self.registry
        )
        self.refused = Gauge(
            "giornata_models_refused",
            "Deployed model versions that could not be loaded",
            registry=self.registry,
        )

    def page(self) -> bytes:
        """The page that Prometheus scrapes."""
        return generate_latest(self.registry)

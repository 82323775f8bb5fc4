"""Start the prediction server: `python -m giornata.serving --port 8090 [--host 127.0.0.1]`."""

import argparse
import logging
import os
import signal
import sys
import time
from functools import partial

import uvicorn

from giornata.errors import GiornataError
from giornata.serving.application import Application
from giornata.serving.bundle_checks import BundleChecks
from giornata.serving.connections import Connections, raise_descriptors, shares
from giornata.serving.loader import Loader
from giornata.serving.metrics import Metrics
from giornata.serving.model import open_model
from giornata.serving.online_store import OnlineStore
from giornata.serving.prediction_log import PredictionLog
from giornata.serving.predictor import Predictor
from giornata.serving.routing import RoutingTable
from giornata.serving.workers import Workers
from giornata.settings import Settings, load_settings
from giornata.stores.cassandra import connect

STOP_SECONDS = 10

# How long a thread at work may keep the interpreter from the event loop; by default it is 5 ms.
SWITCH_SECONDS = 0.0005


def build(settings: Settings, metrics: Metrics) -> Application:
    """The application over the folders and the Cassandra of `settings`."""
    store = OnlineStore(partial(connect, settings), metrics)
    log = PredictionLog(settings.prediction_log, metrics, folder_bytes=settings.prediction_log_bytes)

    def follow(table: RoutingTable) -> None:
        metrics.loaded.set(len(table.models))
        metrics.refused.set(len(table.refusals))
        if any(model.reads_store for model in table.models):
            store.need()

    workers = Workers(metrics, settings.request_timeout)
    loader = Loader(
        settings.bundles,
        partial(open_model, workers=workers),
        follow,
        BundleChecks(settings.home / "bundle_checks"),
    )
    metrics.followed.set_function(lambda: float(loader.table.problem is None))
    predictor = Predictor(store, log, metrics)
    return Application(loader, predictor, store, log, workers, metrics, settings.request_timeout)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; then finish requests, write the rest of the log and exit."""
    parser = argparse.ArgumentParser(prog="python -m giornata.serving", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback)")
    arguments = parser.parse_args(argv)
    log_to_stderr()
    sys.setswitchinterval(SWITCH_SECONDS)
    # One request is too little work to share out; threads that wait for each other make its latency jump.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # XGBoost imports it where it is installed, which takes many times as long as its own import; nothing here needs it.
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # which is how an import fails
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles both while it runs and raises them again once everything is stopped.
        signal.signal(number, lambda *_: sys.exit(0))
    metrics = Metrics()
    most, waiting = shares(raise_descriptors())
    try:
        application = build(load_settings(), metrics)
    except GiornataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    connections = Connections(most, lambda kind: metrics.errors.labels(kind).inc())
    configuration = uvicorn.Config(
        application,
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http=connections.protocol,  # type: ignore[arg-type]  # it asks for a class, and calls it
        backlog=waiting,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    uvicorn.Server(configuration).run()
    return 0


def log_to_stderr() -> None:
    """Log one line per event, in UTC: time, level, logger, message, then key=value."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.getLogger("cassandra").setLevel(logging.ERROR)  # its warnings repeat what a StoreError says


if __name__ == "__main__":
    sys.exit(main())

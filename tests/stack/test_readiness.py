"""A check fails with a reason when nothing listens, or when what listens does not answer as it should."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from giornata.settings import Settings
from stack import readiness
from stack.ports import free_ports
from stack.readiness import CHECKS, NotReadyError, main


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_listens(name: str) -> None:
    with pytest.raises(NotReadyError, match="Connection refused"):
        CHECKS[name]("127.0.0.1", free_ports().mail)


@pytest.fixture
def web_server() -> Iterator[tuple[int, dict[str, tuple[int, object]]]]:
    """A web server whose answers, status and JSON by path, the test chooses."""
    answers: dict[str, tuple[int, object]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = answers[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *arguments: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, answers
        server.shutdown()
        thread.join()


def test_a_prediction_server_that_is_not_ready(web_server: tuple[int, dict[str, tuple[int, object]]]) -> None:
    port, answers = web_server
    answers["/health/ready"] = (503, {"error": "loading"})
    with pytest.raises(NotReadyError, match=r"503.*loading"):
        readiness.serving("127.0.0.1", port)
    answers["/health/ready"] = (200, {})
    readiness.serving("127.0.0.1", port)


def test_each_part_of_airflow_is_looked_at(web_server: tuple[int, dict[str, tuple[int, object]]]) -> None:
    port, answers = web_server
    health = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "unhealthy"},
        "dag_processor": {"status": "healthy"},
        "triggerer": {"status": None},
    }
    answers["/api/v2/monitor/health"] = (200, health)
    readiness.airflow("127.0.0.1", port)
    readiness.airflow_dag_processor("127.0.0.1", port)
    with pytest.raises(NotReadyError, match="scheduler as unhealthy"):
        readiness.airflow_scheduler("127.0.0.1", port)
    with pytest.raises(NotReadyError, match="triggerer as None"):
        readiness.airflow_triggerer("127.0.0.1", port)


def test_the_command_line_tells_by_its_exit_status(
    web_server: tuple[int, dict[str, tuple[int, object]]], capsys: pytest.CaptureFixture[str]
) -> None:
    port, answers = web_server
    answers["/health/ready"] = (200, {})
    assert main(["serving", "127.0.0.1", str(port)]) == 0
    answers["/health/ready"] = (500, {})
    assert main(["serving", "127.0.0.1", str(port)]) == 1
    assert "serving at 127.0.0.1" in capsys.readouterr().err


def test_the_stores_answer(stores: Settings) -> None:
    for name, address in [
        ("cassandra", stores.cassandra),
        ("metastore", stores.metastore.removeprefix("thrift://")),
        ("thriftserver", stores.hiveserver),
        ("mail", stores.smtp),
    ]:
        host, port = address.split(":")
        CHECKS[name](host, int(port))

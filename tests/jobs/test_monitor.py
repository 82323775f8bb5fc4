"""The monitor on generated predictions whose errors are known, with labels that come late, twice or never."""

import json
import math
import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pyspark.sql import SparkSession
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from giornata.documents import load_project
from giornata.errors import DataError, StoreError
from giornata.monitoring.mail import MailError
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.alerts import Alerts
from giornata.stores.deployments import Deployments
from giornata.stores.series import Series
from jobs import monitor
from jobs.hive.publish import ensure_table, publish
from jobs.monitoring.prediction_table import PARTITIONS, predictions_columns

ROOT = Path(__file__).resolve().parents[2]
FIRST = datetime(2013, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW = "0b0e4d8c-0000-4000-8000-000000000001", "0b0e4d8c-0000-4000-8000-000000000002"

FILES = {
    "tables/departures.yaml": """\
description: Departures
key: [flight_id]
event_time: left_at
columns: {flight_id: str, left_at: timestamp, distance: float, city: str}
""",
    "tables/arrivals.yaml": """\
description: Arrivals
key: [flight_id]
event_time: arrived_at
columns: {flight_id: str, arrived_at: timestamp, minutes: float, late: bool}
""",
    "models/trip.yaml": """\
description: Minutes of a trip
owner: tests
type: xgboost
task: regression
data: {table: departures, key: [flight_id], event_time: left_at}
label: {table: arrivals, value: minutes, event_time: arrived_at}
split: {train: 30d, validation: 0.2, test: 7d}
features: {distance: row.distance}
partition: {by: [row.city], min_rows: 50}
deploy: {tag: production, modes: [batch, online]}
monitor: {alerts: [{metric: rmse, above: 10, over: 2d, min_rows: 20, mail: [trips@example.org]}]}
""",
    "models/late.yaml": """\
description: Whether a trip is late
owner: tests
type: xgboost
task: binary
data: {table: departures, key: [flight_id], event_time: left_at}
label: {table: arrivals, value: late, event_time: arrived_at}
split: {train: 30d, validation: 0.2, test: 7d}
features: {distance: row.distance}
""",
}


KINDS = """\
description: Kinds of trips
owner: tests
type: k_means
task: clustering
data: {table: departures, key: [flight_id], event_time: left_at}
split: {train: 30d, validation: 0.2, test: 7d}
features: {distance: row.distance}
monitor: {alerts: [{metric: distance, above: 3, over: 1d, min_rows: 20, mail: [trips@example.org]}]}
"""


@dataclass(frozen=True)
class Flight:
    """A flight, what was predicted for it and what came true."""

    name: str
    left: datetime
    city: str
    predicted: float
    minutes: float
    known: datetime | None
    mode: str = "batch"
    uuid: str = OLD
    tag: str = "production"

    @property
    def day(self) -> str:
        return self.left.date().isoformat()

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.uuid}{self.mode}{self.name}"))

    @property
    def cluster(self) -> tuple[int, float]:
        """Its cluster, that of its city, and the distance to the centre."""
        return int(self.city == "Reno"), abs(self.predicted - self.minutes) / 5

    def answer(self, model: str) -> tuple[Any, ...]:
        """The row of the model's prediction table: the prediction, and the outputs if it has several."""
        if model != "kinds":
            return (self.predicted,)
        cluster, distance = self.cluster
        return float(cluster), json.dumps({"cluster": cluster, "distance": distance})


def flights(days: int = 7, each: int = 30) -> list[Flight]:
    """`each` flights a day, off by 5 minutes up or down; by 20 on the third day, when an alert begins."""
    made = []
    for number in range(days):
        for k in range(each):
            left = FIRST + number * DAY + timedelta(minutes=37 * k)
            error = (20.0 if number == 2 else 5.0) * (1 if k % 2 else -1)
            minutes = 100.0 + 3 * k + number
            city = "Chicago" if k % 3 else "Reno"
            flight = Flight(
                f"{left:%d}-{k}", left, city, minutes + error, minutes, left + 3 * timedelta(hours=1)
            )
            made.append(flight)
    return made


def planted(made: list[Flight]) -> list[Flight]:
    """Changes some of the flights of day 1: one label comes two days late, one never, one at a midnight."""
    by_name = {flight.name: flight for flight in made}
    late, never, midnight = by_name["01-0"], by_name["01-1"], by_name["01-2"]
    by_name["01-0"] = replace(late, known=late.left + 2 * DAY + timedelta(hours=5))
    by_name["01-1"] = replace(never, known=None)
    by_name["01-2"] = replace(midnight, known=FIRST + DAY)
    return list(by_name.values())


class Sink:
    """Keeps the subjects of mails."""

    def __init__(self) -> None:
        self.mails: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        self.mails.append(envelope.content.decode())
        return "250 OK"


@dataclass
class Installation:
    """A project with predictions and labels, and a mail server."""

    spark: SparkSession
    settings: Settings
    project: str
    sink: Sink
    controller: Controller

    @property
    def model(self) -> str:
        return f"{self.project}/trip"

    def predict(self, made: list[Flight], model: str = "trip") -> None:
        """Publish predictions, as scoring and collecting do."""
        documents = load_project(self.settings.projects / self.project)
        columns = predictions_columns(documents.model(model), documents.table("departures"))
        table = f"{self.project}.{model}_predictions"
        ensure_table(self.spark, table, columns, PARTITIONS)
        rows = [
            (
                f.name,
                f.left,
                *f.answer(model),
                f.id,
                f.left,
                f.tag,
                f"city={f.city}",
                "city",
                "{}",
                f.day,
                f.mode,
                f.uuid,
            )
            for f in made
        ]
        publish_rows(self.spark, self.settings, table, rows, PARTITIONS)

    def arrive(self, labels: list[tuple[str, datetime, float]]) -> None:
        """Publish labels: flight, when it is known, minutes; more than 150 minutes is late."""
        table = f"{self.project}.arrivals"
        columns = {"flight_id": "str", "arrived_at": "timestamp", "minutes": "float", "late": "bool"}
        ensure_table(self.spark, table, columns)
        rows = [(name, at, value, value > 150, at.date().isoformat()) for name, at, value in labels]
        publish_rows(self.spark, self.settings, table, rows, ("day",))

    def run(self, start: int, end: int) -> None:
        """Run the monitor from the start of day `start` of November to that of day `end`."""
        first, last = (FIRST + (day - 1) * DAY for day in (start, end))
        monitor.run(self.spark, self.settings, self.project, first, last)

    def rows(self, table: str) -> list[tuple]:
        """All rows of a table of the project, sorted."""
        return sorted((tuple(row) for row in self.spark.table(f"{self.project}.{table}").collect()), key=repr)

    def metric(self, **wanted: str) -> dict[str, tuple[float, int]]:
        """Value and row count of the metrics at one place, by metric."""
        place = {"model": self.model, "tag": "production", "mode": "batch", "part": "all", **wanted}
        frame = self.spark.table(f"{self.project}.model_metrics")
        for column, value in place.items():
            frame = frame.where(frame[column] == value)
        found = [(row.metric, (row.value, row.row_count)) for row in frame.collect()]
        assert len(found) == len(dict(found)), "a metric appears twice"
        return dict(found)


def publish_rows(
    spark: SparkSession, settings: Settings, table: str, rows: list[tuple], partitions: tuple[str, ...]
) -> None:
    frame = spark.createDataFrame(rows, spark.table(table).schema)
    publish(spark, frame, table, partitions, settings=settings)


def labels_of(made: list[Flight]) -> list[tuple[str, datetime, float]]:
    return [(f.name, f.known, f.minutes) for f in made if f.known]


@pytest.fixture
def installed(
    spark: SparkSession, project: str, write_project: Callable[..., Settings], stores: Settings
) -> Iterator[Installation]:
    """The project, empty, and a mail server of its own."""
    with cassandra.session(stores) as session:
        cassandra.apply(session, ROOT / "sql" / "cassandra" / "giornata.cql")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    settings = write_project(FILES)
    mail = {"GIORNATA_SMTP": f"127.0.0.1:{port}", "GIORNATA_AIRFLOW": "http://airflow.example:8080"}
    settings = replace(settings, variables={**settings.variables, **mail})
    yield Installation(spark, settings, project, sink, controller)
    if controller.loop.is_running():
        controller.stop()


def test_the_week(installed: Installation) -> None:
    """Metrics as computed by hand, late and corrected labels, an alert that comes and goes, and all of it
    twice.
    """
    made = planted(flights())
    online = [replace(f, mode="online") for f in made[:20]]
    asked_by_uuid = [replace(f, mode="online", tag="", name=f"{f.name}u") for f in made[20:30]]
    installed.predict(made + online + asked_by_uuid)
    corrected = ("01-4", FIRST + DAY + timedelta(hours=12), made[4].minutes + 1)
    installed.arrive(
        [*labels_of(made), corrected, *((f.name, f.left + DAY / 8, f.minutes) for f in asked_by_uuid)]
    )

    installed.run(1, 2)
    one = [f for f in made if f.day == "2013-11-01"]
    known = [f for f in one if f.known and f.known < FIRST + DAY]
    outcomes = installed.spark.table(f"{installed.project}.trip_outcomes").where("mode = 'batch'").collect()
    assert {row.flight_id for row in outcomes} == {f.name for f in known}
    assert {"01-0", "01-1", "01-2"}.isdisjoint(row.flight_id for row in outcomes)
    assert next(row.label for row in outcomes if row.flight_id == "01-4") == made[4].minutes
    assert installed.metric(day="2013-11-01", time_window="1d")["rmse"] == (pytest.approx(5.0), len(known))
    coverage = installed.metric(day="2013-11-01", time_window="1d")["label_coverage"]
    assert coverage == (pytest.approx(len(known) / 30), 30)
    assert installed.sink.mails == []

    installed.run(2, 4)
    by_flight = {
        row.flight_id: row
        for row in installed.spark.table(f"{installed.project}.trip_outcomes")
        .where("mode = 'batch'")
        .collect()
    }
    assert by_flight["01-0"].label == 100.0, "the label that came late"
    assert by_flight["01-0"].label_known_at.replace(tzinfo=UTC) == made[0].known
    assert "01-1" not in by_flight, "the label that never came"
    assert by_flight["01-2"].label == made[2].minutes, "the label that became known at the midnight"
    assert by_flight["01-4"].label == made[4].minutes + 1, "the newest of two labels"
    check_metrics(installed, made)
    assert fired(installed) == ["2013-11-03"]

    before = [installed.rows(table) for table in ("trip_outcomes", "model_metrics")]
    series = points(installed)
    installed.run(2, 4)
    installed.run(1, 4)
    assert [installed.rows(table) for table in ("trip_outcomes", "model_metrics")] == before
    assert points(installed) == series
    assert len(installed.sink.mails) == 1

    installed.run(4, 8)
    assert len(installed.sink.mails) == 2
    assert "Subject: [Giornata] recovered:" in installed.sink.mails[1]
    assert "2013-11-05" in installed.sink.mails[1]
    text = installed.sink.mails[0].replace("=\r\n", "")
    assert f"{installed.model}: rmse 14.58 is above 10 over 2d (production, batch, 2013-11-03)" in " ".join(
        text.split()
    )
    assert "To: trips@example.org" in text
    assert f"http://airflow.example:8080/giornata/models/{installed.model}/tags/production" in text


def check_metrics(installed: Installation, made: list[Flight]) -> None:
    """Every kind of window and part on the second day, and the third with the second, against scikit-learn."""
    two = {f.name: f for f in made if f.day == "2013-11-02"}
    three = {f.name: f for f in made if f.day == "2013-11-03" and f.known < FIRST + 3 * DAY}
    whole = [*two.values(), *three.values()]
    cases = [
        ("2013-11-02", "1d", "all", list(two.values())),
        ("2013-11-02", "1d", "level:city", list(two.values())),
        ("2013-11-03", "2d", "all", whole),
    ]
    for day, window, part, rows in cases:
        actual, predicted = [f.minutes for f in rows], [f.predicted for f in rows]
        assert installed.metric(day=day, time_window=window, part=part) == {
            "rmse": (pytest.approx(root_mean_squared_error(actual, predicted)), len(rows)),
            "mae": (pytest.approx(mean_absolute_error(actual, predicted)), len(rows)),
            "r2": (pytest.approx(r2_score(actual, predicted)), len(rows)),
            "rmsle": (pytest.approx(log_error(actual, predicted)), len(rows)),
            "label_coverage": (
                pytest.approx(len(rows) / (30 if window == "1d" else 60)),
                30 * int(window[0]),
            ),
        }
    # A window is measured on its rows: the mean of its days' metrics would be another number.
    days = [installed.metric(day=day, time_window="1d")["rmse"][0] for day in ("2013-11-02", "2013-11-03")]
    assert installed.metric(day="2013-11-03", time_window="2d")["rmse"][0] != pytest.approx(sum(days) / 2)
    # Fewer than 50 rows of a part say nothing: 20 a day for Chicago, 10 for Reno.
    assert installed.metric(day="2013-11-03", time_window="2d", part="city=Reno") == {}
    # The answers that were asked for by uuid have no tag, and their metrics do not mix with the others'.
    assert installed.metric(day="2013-11-01", time_window="1d", mode="online", tag="")["rmse"][1] == 10
    assert installed.metric(day="2013-11-01", time_window="1d", mode="online")["rmse"][1] == 19


def log_error(actual: list[float], predicted: list[float]) -> float:
    errors = [(math.log1p(p) - math.log1p(a)) ** 2 for a, p in zip(actual, predicted, strict=True)]
    return math.sqrt(sum(errors) / len(errors))


def fired(installed: Installation) -> list[str]:
    """Days on which an alert of the model fired in batch mode, as stored; all of them mailed."""
    with cassandra.session(installed.settings) as session:
        alerts = Alerts(session)
        events = [event for s in alerts.alert_states(installed.model) for event in alerts.events(s.key)]
    assert all(event.delivered for event in events)
    return [event.day.isoformat() for event in events if event.kind == "fired"]


def points(installed: Installation) -> list:
    """The points in Cassandra; the same numbers as in Hive."""
    with cassandra.session(installed.settings) as session:
        series = Series(session)
        found = [
            point
            for model, tag, mode, metric, window in series.keys(installed.model)
            for part in ("all", "level:city", "city=Chicago")
            for point in series.read(
                model, tag, mode, metric, window, date(2013, 10, 1), date(2013, 12, 1), part
            )
        ]
    table = installed.spark.table(f"{installed.project}.model_metrics").where(f"model = '{installed.model}'")
    hive = {
        (r.tag, r.mode, r.metric, r.time_window, r.part, r.day, r.model_uuid): r.value
        for r in table.collect()
    }
    assert {
        (p.tag, p.mode, p.metric, p.window, p.part, p.at.isoformat(), p.uuid): p.value for p in found
    } == hive
    return found


def test_a_mail_server_that_is_away(installed: Installation) -> None:
    made = flights(days=3)
    installed.predict(made)
    installed.arrive(labels_of(made))
    installed.controller.stop()
    with pytest.raises(MailError, match=r"rmse .* does not answer.*the next run sends it"):
        installed.run(1, 7)
    assert installed.metric(day="2013-11-03", time_window="1d")["rmse"] == (pytest.approx(20.0), 30)
    sink = Sink()
    host, port = installed.settings.smtp.split(":")
    again = Controller(sink, hostname=host, port=int(port))
    again.start()
    installed.run(1, 7)
    installed.run(1, 7)
    again.stop()
    assert len(sink.mails) == 1
    assert "is above 10 over 2d" in " ".join(sink.mails[0].split())


def test_a_binary_model_and_a_change_of_version(installed: Installation) -> None:
    made = [replace(f, predicted=(0.2 + (n % 7) / 10)) for n, f in enumerate(flights(days=2))]
    rescored = [replace(f, uuid=NEW, predicted=float(f.minutes > 150)) for f in made if f.day == "2013-11-02"]
    installed.predict(made + rescored, "late")
    installed.arrive(labels_of(made))
    with cassandra.session(installed.settings) as session:
        for uuid_, at in ((OLD, FIRST), (NEW, FIRST + DAY)):
            Deployments(session).append(
                f"{installed.project}/late", "production", uuid_, "a", "b", ["batch"], at
            )
    installed.run(1, 4)
    place = {"model": f"{installed.project}/late", "time_window": "1d", "day": "2013-11-02"}
    rows = [f for f in made if f.day == "2013-11-02"]
    expected = roc_auc_score([f.minutes > 150 for f in rows], [f.predicted for f in rows])
    assert installed.metric(**place, model_uuid=OLD)["auc"] == (pytest.approx(expected), 30)
    assert installed.metric(**place, model_uuid=NEW)["auc"] == (pytest.approx(1.0), 30)
    assert installed.metric(**place, model_uuid=NEW)["accuracy"] == (pytest.approx(1.0), 30)


def test_predictions_that_were_withdrawn_leave_no_outcomes(installed: Installation) -> None:
    made = flights(days=2)
    installed.predict(made)
    installed.arrive(labels_of(made))
    installed.run(1, 3)
    table = f"{installed.project}.trip_predictions"
    empty = installed.spark.table(table).limit(0)
    expected = [{"day": "2013-11-01", "mode": "batch", "model_uuid": OLD}]
    publish(installed.spark, empty, table, PARTITIONS, settings=installed.settings, expected=expected)
    installed.run(1, 3)
    assert {row.day for row in installed.spark.table(f"{installed.project}.trip_outcomes").collect()} == {
        "2013-11-02"
    }
    assert installed.metric(day="2013-11-01", time_window="1d") == {}
    assert {point.at.isoformat() for point in points(installed)} == {"2013-11-02"}


def test_clusters_are_watched_by_their_answers_alone(installed: Installation) -> None:
    """No label is read, and none has arrived: distance, shares and rows by day, and an alert that comes and goes."""
    file = installed.settings.projects / installed.project / "models" / "kinds.yaml"
    file.write_text(KINDS)
    made = flights(days=5)
    online = [replace(f, mode="online") for f in made if f.city == "Chicago"]
    installed.predict(made + online, "kinds")
    installed.run(1, 6)
    kinds = f"{installed.project}/kinds"
    for number, distance in ((2, 1.0), (3, 4.0)):
        place = {"model": kinds, "day": f"2013-11-{number:02}", "time_window": "1d"}
        assert installed.metric(**place) == {
            "distance": (pytest.approx(distance), 30),
            "largest_share": (pytest.approx(2 / 3), 30),
            "rows": (30, 30),
            "share_of_cluster_0": (pytest.approx(2 / 3), 30),
            "share_of_cluster_1": (pytest.approx(1 / 3), 30),
        }
        assert installed.metric(**place, mode="online") == {
            "distance": (pytest.approx(distance), 20),
            "largest_share": (1, 20),
            "rows": (20, 20),
            "share_of_cluster_0": (1, 20),
        }
    with cassandra.session(installed.settings) as session:
        stored = {metric: mode for _, _, mode, metric, _ in Series(session).keys(kinds)}
    assert stored.keys() == {"distance", "largest_share", "rows", "share_of_cluster_0", "share_of_cluster_1"}
    begun, ended = (FIRST + number * DAY for number in (2, 3))
    assert sorted(map(subject_of, installed.sink.mails)) == sorted(
        text
        for mode in ("batch", "online")
        for text in (
            f"[Giornata] {kinds}: distance 4 is above 3 over 1d (production, {mode}, {begun:%Y-%m-%d})",
            f"[Giornata] recovered: {kinds}: distance 1 is no longer above 3 over 1d "
            f"(production, {mode}, {ended:%Y-%m-%d})",
        )
    )
    assert all("30 answers" in mail or "20 answers" in mail for mail in installed.sink.mails)
    series = installed.rows("model_metrics")
    installed.run(1, 6)
    assert installed.rows("model_metrics") == series
    assert len(installed.sink.mails) == 4


def test_a_model_that_cannot_be_measured_keeps_what_it_had_and_does_not_stop_the_others(
    installed: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    made = flights(days=2)
    installed.predict(made)
    installed.arrive(labels_of(made))
    installed.run(1, 3)
    trip = [row for row in installed.rows("model_metrics") if row[0] == installed.model]
    assert trip
    (installed.settings.projects / installed.project / "models" / "kinds.yaml").write_text(KINDS)
    installed.predict(made, "kinds")
    installed.spark.sql(f"DROP TABLE {installed.project}.arrivals")
    with pytest.raises(DataError, match=r"^1 of 3 models were not measured: trip\.$"):
        installed.run(1, 3)
    assert f"{installed.model}: failed: there is no Hive table {installed.project}.arrivals" in (
        capsys.readouterr().out
    )
    after = installed.rows("model_metrics")
    assert [row for row in after if row[0] == installed.model] == trip
    assert {row[0] for row in after} == {installed.model, f"{installed.project}/kinds"}


def subject_of(mail: str) -> str:
    """The subject of a mail, unfolded."""
    return str(message_from_string(mail, policy=policy.default)["Subject"])


def test_nothing_was_predicted_yet(installed: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    installed.run(1, 3)
    assert f"[monitor] {installed.project}/trip: nothing was predicted yet" in capsys.readouterr().out
    assert installed.rows("model_metrics") == []


def test_a_step_that_fails_stops_none_of_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(spark: object) -> None:
        raise StoreError("Cassandra does not answer")

    done: list[object] = []
    steps = {"collect_log": fails, "check_consistency": done.append, "monitor": done.append}
    with pytest.raises(StoreError, match=r"1 of 3 steps of the monitoring failed: collect_log\."):
        monitor.run_steps("the session", steps)
    assert done == ["the session", "the session"]
    assert "[monitor] collect_log: failed: Cassandra does not answer" in capsys.readouterr().out

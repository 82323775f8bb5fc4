"""What the doctor finds, on real servers and where they are away."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from giornata import doctor
from giornata.cli import doctor as command
from giornata.doctor import GOOD, UNUSED, WRONG, Finding, examine
from giornata.errors import GiornataError
from giornata.settings import Settings
from giornata.stores import cassandra

SERVERS = ("Cassandra", "Cassandra's tables", "Hive metastore", "Hive's SQL", "Mail server")


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(settings)}


def changed(settings: Settings, **variables: str) -> Settings:
    return replace(settings, variables={**settings.variables, **variables})


@pytest.mark.stack
def test_servers_that_are_as_they_should_be_are_in_order(stores: Settings) -> None:
    with cassandra.session(stores) as session:
        cassandra.apply_schema(session)
    findings = found(stores)
    assert {name: findings[name].state for name in SERVERS} == dict.fromkeys(SERVERS, GOOD)
    assert findings["Cassandra"].told.startswith("5.")
    assert findings["Java for Spark"].told.startswith("Java 17, Spark 4.")
    # Neither of the two runs here.
    for name in ("Prediction server", "Airflow"):
        assert findings[name].state in (WRONG, UNUSED)
    assert findings["Prediction server"].remedy == "start it, or mend GIORNATA_SERVING"


@pytest.mark.stack
def test_servers_that_are_away_are_told_with_what_to_do(stores: Settings, tmp_path: Path) -> None:
    away = changed(
        stores,
        GIORNATA_CASSANDRA="127.0.0.1:1",
        GIORNATA_METASTORE="thrift://127.0.0.1:1",
        GIORNATA_HIVESERVER="127.0.0.1:1",
        GIORNATA_SMTP="127.0.0.1:1",
        GIORNATA_PROJECTS=str(tmp_path / "none"),
        GIORNATA_SMTP_USER="anna",
        GIORNATA_SMTP_PASSWORD="a secret",
        GIORNATA_SMTP_ENCRYPTION="starttls",
    )
    findings = found(away)
    for name in (*SERVERS, "Projects"):
        assert findings[name].state == WRONG, name
        assert findings[name].told, name
        assert findings[name].remedy, name
        assert "\n" not in findings[name].told
    assert "a secret" not in repr(findings)


def test_what_no_setting_names_is_unused(tmp_path: Path) -> None:
    findings = found(Settings(tmp_path, {}))
    assert {findings[name].state for name in SERVERS} == {UNUSED}
    assert findings["Cassandra"].told == "GIORNATA_CASSANDRA is not set"
    assert findings["Disk"].told.endswith(f"GB are free at {tmp_path}")


def test_the_command_says_what_to_mend_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIORNATA_BUNDLES", str(tmp_path / "none"))
    result = CliRunner().invoke(command.app, [])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("wrong   Bundles")]
    assert f"{tmp_path}/none is no folder that can be written to" in lines[at]
    assert lines[at + 1].strip() == "→ make the folder writable"


@pytest.mark.parametrize(("off", "said"), [(3.0, "3.0 s ahead of"), (-3.0, "3.0 s behind")])
def test_a_clock_that_is_wrong_is_told(off: float, said: str) -> None:
    now = datetime.now(UTC)
    with pytest.raises(GiornataError, match=f"its clock is {said}"):
        doctor._skew(now + timedelta(seconds=off), now)
    assert doctor._skew(now, now) == ", clock within 0.0 s"

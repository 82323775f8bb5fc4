"""Settings come from the environment, else from the stack's file; a missing or malformed one is named."""

from datetime import timedelta
from pathlib import Path

import pytest

from giornata.errors import SettingsError
from giornata.settings import load_settings


def home_with(folder: Path, text: str) -> dict[str, str]:
    (folder / "giornata.env").write_text(text)
    return {"GIORNATA_HOME": str(folder)}


def test_reads_the_file_in_home(tmp_path: Path) -> None:
    environ = home_with(
        tmp_path, "# made by a test\n\nGIORNATA_CASSANDRA=127.0.0.1:9042\nGIORNATA_WAREHOUSE=/w\n"
    )
    settings = load_settings(environ)
    assert settings.home == tmp_path
    assert settings.cassandra == "127.0.0.1:9042"
    assert settings.warehouse == "/w"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = home_with(tmp_path, "GIORNATA_SMTP=127.0.0.1:25\nGIORNATA_MAIL_FROM=a@example.com\n")
    settings = load_settings({**environ, "GIORNATA_SMTP": "mail.example.com:2525"})
    assert settings.smtp == "mail.example.com:2525"
    assert settings.mail_from == "a@example.com"


def test_home_defaults_to_local_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".local").mkdir()
    home_with(tmp_path / ".local", "GIORNATA_SERVING=http://127.0.0.1:8090/\n")
    settings = load_settings({})
    assert settings.home == tmp_path / ".local"
    assert settings.serving == "http://127.0.0.1:8090"


def test_a_value_may_hold_an_equals_sign(tmp_path: Path) -> None:
    environ = home_with(tmp_path, "GIORNATA_MLFLOW=postgresql://host/db?sslmode=require\n")
    assert load_settings(environ).mlflow == "postgresql://host/db?sslmode=require"


def test_only_what_is_asked_for_must_be_set(tmp_path: Path) -> None:
    settings = load_settings({"GIORNATA_HOME": str(tmp_path), "GIORNATA_BUNDLES": "/bundles"})
    assert settings.bundles == Path("/bundles")
    with pytest.raises(SettingsError) as problem:
        _ = settings.cassandra
    assert "GIORNATA_CASSANDRA is not set" in str(problem.value)
    assert str(tmp_path / "giornata.env") in str(problem.value)
    assert "make up" in str(problem.value)


@pytest.mark.parametrize(
    ("attribute", "variable", "value"),
    [
        ("cassandra", "GIORNATA_CASSANDRA", "127.0.0.1"),
        ("cassandra", "GIORNATA_CASSANDRA", "http://127.0.0.1:9042"),
        ("metastore", "GIORNATA_METASTORE", "127.0.0.1:9083"),
        ("hiveserver", "GIORNATA_HIVESERVER", "127.0.0.1:ten"),
        ("serving", "GIORNATA_SERVING", "127.0.0.1:8090"),
        ("mail_from", "GIORNATA_MAIL_FROM", "giornata"),
        ("spark_master_web", "GIORNATA_SPARK_MASTER_WEB", "host:8080"),
        ("executor_wait", "GIORNATA_EXECUTOR_WAIT", "10m"),
        ("executor_wait", "GIORNATA_EXECUTOR_WAIT", "0"),
        ("prediction_log_bytes", "GIORNATA_PREDICTION_LOG_BYTES", "10 GB"),
        ("prediction_log_kept", "GIORNATA_PREDICTION_LOG_KEPT", "7d"),
        ("prediction_log_kept_bytes", "GIORNATA_PREDICTION_LOG_KEPT_BYTES", "0"),
        ("kubernetes_namespace", "GIORNATA_KUBERNETES_NAMESPACE", "My Models"),
    ],
)
def test_a_malformed_value_is_named(tmp_path: Path, attribute: str, variable: str, value: str) -> None:
    settings = load_settings({"GIORNATA_HOME": str(tmp_path), variable: value})
    with pytest.raises(SettingsError, match=rf"{variable} is .*expected"):
        getattr(settings, attribute)


def test_a_broken_line_in_the_file_is_named(tmp_path: Path) -> None:
    environ = home_with(tmp_path, "GIORNATA_SMTP=127.0.0.1:25\nexport whatever\n")
    with pytest.raises(SettingsError, match=r"giornata\.env:2: 'export whatever'"):
        load_settings(environ)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "giornata.env").write_bytes(b"GIORNATA_SMTP=caf\xe9:25\n")
    with pytest.raises(
        SettingsError, match=r"giornata\.env cannot be read .*`make up` writes this file anew"
    ):
        load_settings({"GIORNATA_HOME": str(tmp_path)})


def test_variables_lead_a_child_process_to_the_same_installation(tmp_path: Path) -> None:
    environ = home_with(tmp_path, "GIORNATA_AIRFLOW=http://127.0.0.1:8080\n")
    settings = load_settings({**environ, "GIORNATA_SPARK_MASTER": "yarn", "UNRELATED": "x"})
    assert load_settings(settings.variables) == settings
    assert "UNRELATED" not in settings.variables


def test_a_cluster_may_be_left_undescribed() -> None:
    settings = load_settings({})
    assert (settings.spark_master_web, settings.spark_environment, settings.kubernetes_namespace) == (
        None,
    ) * 3
    assert settings.executor_wait == 1800
    said = load_settings(
        {
            "GIORNATA_SPARK_MASTER_WEB": "http://a:8080/",
            "GIORNATA_EXECUTOR_WAIT": "60",
            "GIORNATA_SPARK_ENVIRONMENT": "",
        }
    )
    assert (said.spark_master_web, said.executor_wait, said.spark_environment) == ("http://a:8080", 60, None)


def test_the_prediction_log_is_bounded_whether_one_says_how_or_not() -> None:
    def bounds(**said: str) -> tuple[int, timedelta, int]:
        settings = load_settings({f"GIORNATA_PREDICTION_LOG_{name}": value for name, value in said.items()})
        return (
            settings.prediction_log_bytes,
            settings.prediction_log_kept,
            settings.prediction_log_kept_bytes,
        )

    assert bounds() == (10 * 1024**3, timedelta(days=7), 1024**3)
    assert bounds(BYTES="512m", KEPT="30", KEPT_BYTES="1000") == (512 * 1024**2, timedelta(days=30), 1000)


def test_how_long_a_request_may_take(tmp_path: Path) -> None:
    environ = {"GIORNATA_HOME": str(tmp_path)}
    assert load_settings(environ).request_timeout == 5.0
    assert load_settings({**environ, "GIORNATA_REQUEST_TIMEOUT_MS": "250"}).request_timeout == 0.25
    for wrong in ("0", "1.5", "60001", "soon"):
        with pytest.raises(SettingsError, match="from 1 to 60000"):
            _ = load_settings({**environ, "GIORNATA_REQUEST_TIMEOUT_MS": wrong}).request_timeout

"""Forecasts are those of statsforecast, looked up by step; answers outside the series follow the module's rules."""

import json
import warnings
from statistics import NormalDist

import numpy as np
import pytest
from statsforecast.models import AutoARIMA, AutoETS, SeasonalNaive, Theta

from giornata.dataset import Dataset
from giornata.errors import BundleError, DataError
from giornata.models.base import FitError, ParameterError
from giornata.models.forecast.model_type import METHODS, ForecastType
from giornata.models.forecast.series import Forecast
from giornata.models.search_space import Dimension
from giornata.schema import Bounds

TYPE = ForecastType()
FIRST = 15_700
DAYS = 56
NAN = np.nan


def rows_of(steps, values):
    return Dataset(np.array(steps, np.float32).reshape(-1, 1), np.array(values, np.float64))


def fit(steps, values, **parameters):
    return TYPE.fit(rows_of(steps, values), "forecasting", parameters, seed=0)


def ask(fitted, *steps):
    return fitted.predict(np.array(steps, np.float32).reshape(-1, 1))


@pytest.fixture(scope="module")
def series():
    """Eight weeks that rise, with a weekly season."""
    days = np.arange(DAYS)
    noise = np.random.default_rng(0).normal(size=DAYS)
    return 100 + 0.2 * days + np.tile([0.0, 3, 5, 4, 2, -6, -9], 8) + noise


@pytest.fixture(scope="module")
def steps():
    return np.arange(FIRST, FIRST + DAYS)


MODELS = {"auto_ets": AutoETS, "auto_arima": AutoARIMA, "theta": Theta, "seasonal_naive": SeasonalNaive}


@pytest.mark.parametrize(
    ("method", "season", "level"),
    [
        ("auto_ets", 7, 0.8),
        ("theta", 7, 0.9),
        ("seasonal_naive", 7, 0.95),
        ("auto_arima", 1, 0.9),
        ("theta", 1, 0.5),
    ],
)
def test_equals_statsforecast(series, steps, method, season, level):
    fitted = fit(steps, series, method=method, season=season, horizon=14, level=level)
    percent = 100 * level
    model = MODELS[method](season_length=season)
    expected = model.forecast(y=series, h=14, level=[percent], fitted=True)
    future = ask(fitted, *range(steps[-1] + 1, steps[-1] + 15))
    bounds = [expected["mean"], expected[f"lo-{percent}"], expected[f"hi-{percent}"]]
    assert future == pytest.approx(np.stack(bounds, axis=1), rel=1e-12)
    past = ask(fitted, *steps)
    begin = season if method == "seasonal_naive" else 0
    assert past[begin:, 0] == pytest.approx(expected["fitted"][begin:], rel=1e-12)
    errors = (series - expected["fitted"])[begin:]
    distance = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(np.mean(errors**2))
    assert past[:, 2] - past[:, 0] == pytest.approx(np.full(DAYS, distance))
    assert past[:, 0] - past[:, 1] == pytest.approx(np.full(DAYS, distance))
    assert fitted.size() == {"steps": DAYS, "forecasts": 14}
    assert fitted.importance() == {0: 1.0}


def test_seasonal_naive_by_hand():
    fitted = fit([1, 2, 3, 4, 5], [10, 20, 12, 26, 13], method="seasonal_naive", season=2, horizon=4)
    # The first season is taken to have been like it; the errors of the others are 2, 6 and 1.
    forecasts = ask(fitted, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert forecasts[:, 0].tolist() == [10, 20, 10, 20, 12, 26, 13, 26, 13]
    distance = 1.6448536269514722 * np.sqrt((4 + 36 + 1) / 3)
    growing = distance * np.array([1, 1, 1, 1, 1, 1, 1, np.sqrt(2), np.sqrt(2)])
    assert forecasts[:, 1] == pytest.approx(forecasts[:, 0] - growing)
    assert forecasts[:, 2] == pytest.approx(forecasts[:, 0] + growing)


def test_answers_outside_the_series():
    fitted = fit([1, 2, 3, 4, 5], [10, 20, 12, 26, 13], method="seasonal_naive", season=2, horizon=3)
    # The horizon ends with step 8.
    assert ask(fitted, -7, 0, -1e30).tolist() == ask(fitted, 1, 1, 1).tolist()
    assert ask(fitted, 9, 10, 11, 12)[:, 0].tolist() == [13, 26, 13, 26]
    below, above = ask(fitted, 8)[0, 0] - ask(fitted, 8)[0, 1], ask(fitted, 8)[0, 2] - ask(fitted, 8)[0, 0]
    late = ask(fitted, 9, 10, 1_000_001, 3e38)
    assert late[:, 0] - late[:, 1] == pytest.approx(np.full(4, below))
    assert late[:, 2] - late[:, 0] == pytest.approx(np.full(4, above))
    assert late[2, 0] == 13
    assert ask(fitted, 3.7).tolist() == ask(fitted, 3).tolist()
    ((mean, low, high),) = ask(fitted, NAN)
    assert mean == pytest.approx(16.2)
    spread = 1.6448536269514722 * np.std([10, 20, 12, 26, 13])
    assert (low, high) == (pytest.approx(16.2 - spread), pytest.approx(16.2 + spread))


def test_the_future_has_a_season_at_least(series, steps):
    fitted = fit(steps, series, method="seasonal_naive", horizon=1)
    assert fitted.size()["forecasts"] == 7
    later = np.arange(steps[-1] + 1, steps[-1] + 71)
    assert ask(fitted, *later)[:, 0].tolist() == np.tile(series[-7:], 10).tolist()


def test_rows_in_any_order_averaged_filled_and_left_out():
    straight = {"method": "seasonal_naive", "season": 1, "horizon": 2}
    plain = fit([3, 4, 5, 6, 7], [1, 2, 3, 4, 9], **straight)
    mixed = fit([7, 3, NAN, 6, 4, 7, 7], [6, 1, 1000, 4, 2, 15, 6], **straight)
    assert mixed.to_files() == plain.to_files()


@pytest.mark.parametrize(
    ("days", "asked", "used"),
    [
        (20, "auto_ets", "auto_ets"),
        (19, "auto_ets", "seasonal_naive"),
        (19, "theta", "seasonal_naive"),
        (8, "auto_arima", "seasonal_naive"),
        (8, "seasonal_naive", "seasonal_naive"),
        (7, "seasonal_naive", "mean"),
        (7, "theta", "mean"),
        (1, "auto_arima", "mean"),
    ],
)
def test_short_series_take_another_method(series, days, asked, used):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fit(range(days), series[:days], method=asked)
    assert json.loads(fitted.to_files()["forecast.json"])["method"] == used
    assert fitted.size().get("fallbacks", 0) == (used != asked)
    if used == "seasonal_naive":
        assert ask(fitted, days)[0, 0] == series[days - 7]
    if used == "mean":
        forecasts = ask(fitted, 0, days, days + 500, NAN)
        assert forecasts[:, 0] == pytest.approx(np.full(4, series[:days].mean()))
        assert fitted.importance() == {}


def test_a_method_that_finds_no_model_is_replaced(series, steps, monkeypatch):
    def fails(*_, **__):
        raise Exception("no model able to be fitted")

    monkeypatch.setattr(AutoETS, "forecast", fails)
    fitted = fit(steps, series)
    assert fitted.size()["fallbacks"] == 1
    expected = SeasonalNaive(7).forecast(y=series, h=30)["mean"]
    assert ask(fitted, *range(steps[-1] + 1, steps[-1] + 31))[:, 0].tolist() == expected.tolist()


def test_warnings_of_statsforecast_are_dropped(series, steps, monkeypatch):
    plain = fit(steps, series)
    forecast = AutoETS.forecast

    def warns(*given, **named):
        warnings.warn("divide by zero", RuntimeWarning, stacklevel=1)
        return forecast(*given, **named)

    monkeypatch.setattr(AutoETS, "forecast", warns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(steps, series).to_files() == plain.to_files()


SERIES = {
    "one row": ([5], [3.5]),
    "two rows of a step": ([5, 5], [3, 4]),
    "no step": ([NAN, NAN], [3, 4]),
    "a constant": (range(39), [0.1] * 39),
    "rows that are alike": ([*range(40), 7, 7], [0.1] * 42),
    "a straight line": (range(40), range(40)),
    "one that differs": (range(40), [0] * 39 + [1]),
    "negative": (range(-40, 0), [-3 * day for day in range(40)]),
    "large": (range(40), (1e30 * np.random.default_rng(1).normal(size=40)).tolist()),
    "small": (range(40), (1e-30 * np.random.default_rng(1).normal(size=40)).tolist()),
    "a hole": ([0, 1, 200], [1, 5, 2]),
}


@pytest.mark.parametrize("method", ["auto_ets", "theta", "seasonal_naive"])
@pytest.mark.parametrize("name", SERIES)
def test_any_series_has_finite_forecasts_in_order(name, method, capfd):
    steps, values = SERIES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fit(steps, values, method=method, horizon=10)
        answers = ask(fitted, *range(-60, 300), -3e38, 3e38, NAN, 0.5)
    assert np.isfinite(answers).all()
    assert (answers[:, 1] <= answers[:, 0]).all()
    assert (answers[:, 0] <= answers[:, 2]).all()
    if np.ptp(values) == 0:
        assert answers.tolist() == [[values[0]] * 3] * len(answers)
        assert fitted.importance() == {}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["auto_ets", "theta"])
def test_files_give_the_same_model(series, steps, method):
    fitted = fit(steps, series, method=method)
    files = fitted.to_files()
    assert list(files) == ["forecast.json"]
    assert files == fit(steps, series, method=method).to_files()
    stored = Forecast.from_files(files)
    asked = np.arange(FIRST - 20, FIRST + 200)
    assert ask(stored, *asked, NAN).tolist() == ask(fitted, *asked, NAN).tolist()
    assert stored.to_files() == files
    assert stored.rounds == 1


@pytest.mark.parametrize("method", ["auto_ets", "seasonal_naive"])
@pytest.mark.parametrize("bounds", [Bounds(min=0), Bounds(max=6.5), Bounds(min=0, max=6)])
def test_answers_are_kept_within_bounds(method, bounds):
    """Those beyond lie on them, wherever they are asked; the others are as without, and files keep it."""
    values = np.tile([0.0, 1, 2, 9, 4, 1, 0], 8)
    free = fit(np.arange(DAYS), values, method=method, horizon=10)
    bound = ForecastType(bounds).fit(
        rows_of(np.arange(DAYS), values), "forecasting", {"method": method, "horizon": 10}, seed=0
    )
    asked = (*range(-10, 200), NAN)
    low, high = (-np.inf if bounds.min is None else bounds.min), (bounds.max or np.inf)
    expected = [[min(max(number, low), high) for number in row] for row in ask(free, *asked).tolist()]
    assert ask(bound, *asked).tolist() == expected
    assert expected != ask(free, *asked).tolist()
    assert ask(Forecast.from_files(bound.to_files()), *asked).tolist() == expected
    assert b"least" not in free.to_files()["forecast.json"]


def test_one_row_at_a_time_gives_the_same_bits(series, steps):
    fitted = fit(steps, series, method="theta")
    asked = np.arange(FIRST - 5, FIRST + 120)
    assert ask(fitted, *asked).tolist() == [ask(fitted, step)[0].tolist() for step in asked]


def test_what_cannot_be_fitted():
    three = Dataset(np.zeros((2, 3), np.float32), np.zeros(2), {}, ("day", "hour", "wind"))
    with pytest.raises(FitError, match=r"one feature, the step.* 3 features \(day, hour, wind\)"):
        TYPE.fit(three, "forecasting", {}, seed=0)
    with pytest.raises(FitError, match="codes among them"):
        TYPE.fit(Dataset(np.zeros((2, 1), np.float32), np.zeros(2), {0: 2}), "forecasting", {}, seed=0)
    with pytest.raises(FitError, match="there are no rows"):
        fit([], [])
    with pytest.raises(FitError, match=r"a whole number, such as a day: 3\.5 is none"):
        fit([1, 3.5], [1, 2])
    with pytest.raises(FitError, match="tell whole numbers apart up to 16,777,216"):
        fit([20_250_101, 20_250_103], [1, 2])
    with pytest.raises(FitError, match="at most 100,000 steps"):
        fit([0, 100_000], [1, 2])
    with pytest.raises(FitError, match="beyond 1e\\+100"):
        fit([0, 1], [1, -1e101])
    with pytest.raises(FitError, match="type forecast cannot be used for task regression"):
        TYPE.fit(rows_of([1], [1]), "regression", {}, seed=0)


def test_rows_have_the_step_alone():
    with pytest.raises(DataError, match="takes 1 feature, the step, and rows have 2"):
        fit([1], [1]).predict(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seasons": 3}, "did you mean season"),
        ({"method": "prophet"}, "method is one of auto_ets, auto_arima, theta, seasonal_naive"),
        ({"season": 0}, "season is at least 1"),
        ({"horizon": 0}, "horizon is at least 1"),
        ({"horizon": 1.5}, "horizon is a whole number"),
        ({"level": 0}, "level is at least 0.001"),
        ({"level": 1}, "at most 0.999"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        TYPE.check(parameters, {})


def test_spaces_and_rounds():
    TYPE.check({}, TYPE.default_space)
    assert TYPE.default_space == {
        "method": Dimension(choice=["auto_ets", "theta", "seasonal_naive"]),
        "season": Dimension(choice=[1, 7]),
    }
    assert TYPE.with_rounds({"season": 3}, 7) == {"season": 3}
    assert set(METHODS) == set(MODELS)


WHOLE = {
    "asked": "theta",
    "method": "mean",
    "season": 1,
    "first": 3,
    "past": [[1.0, 0.0, 2.0]],
    "future": [[1.0, 0.0, 2.0]],
    "mean": [1.0, 0.0, 2.0],
}


@pytest.mark.parametrize(
    "change",
    [
        {"past": []},
        {"future": []},
        {"past": [[1.0, 0.0]]},
        {"future": [[3.0, 0.0, 2.0]]},
        {"mean": [1.0, 1.5, 2.0]},
        {"mean": [1.0, 0.0, "NaN"]},
        {"season": 2},
        {"season": 0},
        {"first": 2**40},
        {"method": "prophet"},
        {"more": 1},
    ],
)
def test_damaged_files(change):
    Forecast.from_files({"forecast.json": json.dumps(WHOLE).encode()})
    with pytest.raises(BundleError, match=r"forecast\.json holds no forecast"):
        Forecast.from_files({"forecast.json": json.dumps(WHOLE | change).encode()})


@pytest.mark.parametrize(
    "files", [{}, {"linear.json": b"{}"}, {"forecast.json": b"{}"}, {"forecast.json": b"{"}]
)
def test_files_that_hold_no_model(files):
    with pytest.raises(BundleError, match=r"forecast\.json"):
        Forecast.from_files(files)

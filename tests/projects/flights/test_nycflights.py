"""The instants of the flights: checked against the published air times, clocks and known traps."""

from datetime import UTC, datetime, timedelta
from types import ModuleType
from zoneinfo import ZoneInfo

import airportsdata
import pandas as pd
import pyarrow as pa
import pytest


@pytest.fixture(scope="module")
def flights(nycflights: ModuleType) -> pd.DataFrame:
    return nycflights.flights()


def test_every_flight_is_there_once(flights):
    assert len(flights) == 336_776
    assert flights.flight_id.is_unique
    assert flights.flight_id.str.fullmatch(r"[A-Z0-9]{2}\d+-(EWR|JFK|LGA)-\d{8}T\d{4}").all()


def test_a_flight_known_by_hand(flights):
    # UA 1545 of New Year's Day: scheduled 05:15 in New York, landing 08:19 in Houston; 2 and 11 minutes late.
    flight = flights.set_index("flight_id").loc["UA1545-EWR-20130101T1015"]
    assert flight.sched_dep == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert flight.ask_at == datetime(2013, 1, 1, 9, 15, tzinfo=UTC)
    assert flight.pushed_back_at == datetime(2013, 1, 1, 10, 17, tzinfo=UTC)
    assert flight.sched_arr == datetime(2013, 1, 1, 14, 19, tzinfo=UTC)
    assert flight.arrived_at == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)
    assert flight.gate_minutes == 253
    assert (flight.dest_city, flight.dest_state, flight.dest_country) == ("Houston, Texas", "Texas", "US")
    assert not flight.late


def test_time_at_the_gate_fits_the_published_time_in_the_air(flights):
    done = flights[flights.air_time.notna()]
    assert len(done) == 327_346
    assert (done.gate_minutes >= done.air_time).all()
    assert (done.gate_minutes <= done.air_time + 240).all()


def test_clocks_of_departure_are_reproduced(flights):
    left = flights[flights.dep_time.notna()]
    clock = left.pushed_back_at.dt.tz_convert("America/New_York")
    shown = clock.dt.hour * 100 + clock.dt.minute
    assert (shown == left.dep_time % 2400).all()  # midnight is written 2400
    assert (left.dep_time == 2400).sum() == 29


def test_clocks_of_arrival_are_reproduced_but_for_the_landing_in_the_gap(flights):
    zones = {code: place["tz"] for code, place in airportsdata.load("IATA").items()}
    landed = flights[flights.arrived_at.notna()]
    assert (landed.arr_time == 2400).sum() == 150
    wrong = []
    for zone, rows in landed.groupby(landed.dest.map(zones)):
        clock = rows.arrived_at.dt.tz_convert(zone)
        wrong.append(rows[clock.dt.hour * 100 + clock.dt.minute != rows.arr_time % 2400])
    (flight,) = pd.concat(wrong).itertuples()
    # On 10 March 2013 the clocks jumped from 02:00 to 03:00; the published arrival lies in between.
    local = flight.arrived_at.astimezone(ZoneInfo(zones[flight.dest]))
    assert local.date().isoformat() == "2013-03-10"
    assert 200 <= flight.arr_time < 300


def test_what_did_not_happen_has_no_instant(flights):
    assert flights.pushed_back_at.isna().sum() == 8_255
    assert flights.arrived_at.isna().sum() == 9_430
    assert flights[["sched_dep", "sched_arr", "ask_at", "dest_city", "dest_state"]].notna().all(axis=None)


def test_cities_of_the_same_name_are_different_places(flights):
    cities = set(flights.dest_city)
    assert {"Portland, Maine", "Portland, Oregon", "Charleston, South Carolina"} <= cities
    assert set(flights[flights.dest.isin(["ORD", "MDW"])].dest_city) == {"Chicago, Illinois"}


def test_the_impossible_wind_is_delivered(nycflights):
    weather = nycflights.weather()
    (storm,) = weather[weather.wind_speed > 200].itertuples()
    assert (storm.origin, storm.observed_at) == ("EWR", datetime(2013, 2, 12, 8, tzinfo=UTC))
    assert storm.wind_speed == pytest.approx(1048.36, abs=0.01)


def test_an_hour_is_observed_once_though_its_clock_time_comes_twice(nycflights):
    weather = nycflights.weather()
    assert not weather.duplicated(["origin", "observed_at"]).any()
    assert weather.duplicated(["origin", "month", "day", "hour"]).sum() == 3


def test_planes(nycflights):
    planes = nycflights.planes()
    assert len(planes) == 3_322
    assert planes.tailnum.is_unique
    assert planes.built_year.min() == 1956
    assert set(planes.registered_at) == {pd.Timestamp("2013-01-01", tz="UTC")}


def test_rows_of_a_span_are_half_open_and_typed(nycflights, flights):
    start = datetime(2013, 7, 1, tzinfo=UTC)
    days = [start + timedelta(days=number) for number in range(3)]
    columns = ["flight_id", "tailnum", "sched_dep", "pushed_back_at", "dep_delay", "late"]
    first, second, both = (
        nycflights.rows_between(flights, "sched_dep", begin, end, columns)
        for begin, end in ((days[0], days[1]), (days[1], days[2]), (days[0], days[2]))
    )
    assert first.num_rows + second.num_rows == both.num_rows > 1500
    assert both.column("sched_dep").to_pylist() == sorted(both.column("sched_dep").to_pylist())
    cancelled = both.column("pushed_back_at").null_count
    assert both.column("dep_delay").null_count == cancelled > 0
    nothing = nycflights.rows_between(flights, "sched_dep", days[0], days[0], columns)
    assert nothing.num_rows == 0
    assert nothing.schema.equals(both.schema)
    assert both.schema.types == [
        pa.string(), pa.string(), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC"), pa.float64(), pa.bool_(),
    ]  # fmt: skip

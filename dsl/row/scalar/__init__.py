"""Python implementations of functions for one row that are more than an expression; generated rows call them by
name."""

import math
from bisect import bisect_right

from dsl.row.scalar import geography, numbers, text, time

NAMES: dict[str, object] = {
    "NOT_A_NUMBER": numbers.NOT_A_NUMBER,
    "WHITESPACE": text.WHITESPACE,
    "EPOCH": time.EPOCH,
    "bisect_right": bisect_right,
    **{
        function.__name__: function
        for function in (
            *(math.sin, math.cos, math.tan, math.asin, math.acos, math.atan, math.atan2),
            *(math.sinh, math.cosh, math.tanh),
            *(numbers.floor_to_int, numbers.ceil_to_int, numbers.round_to_int, numbers.truncate_to_int),
            *(numbers.round_digits, numbers.power, numbers.log2, numbers.log10),
            *(text.replace_all, text.parse_int, text.parse_float, text.crossed, text.hash_bucket),
            *(time.day_of_year, time.from_epoch, time.parsed),
            *(time.start_of_hour, time.start_of_day, time.start_of_week, time.start_of_month),
            time.start_of_year,
            *(geography.haversine_km, geography.heading, geography.compass, geography.geohash),
        )
    },
}
"""Names for the generated row functions, in addition to those of dsl/row/compile.py."""

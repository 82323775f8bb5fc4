"""One measurement of a live model, with everything that identifies it."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, order=True)
class Point:
    """One metric of one version over the window that ends with the day `at` (UTC).

    `model` is "project/name"; `tag` is "" for predictions requested by uuid; `mode` is batch or online; `part` is
    "all", a level or a part of the model; `window` counts days ("7d"); `rows` is the number of rows behind `value`.
    """

    model: str
    tag: str
    mode: str
    metric: str
    window: str
    part: str
    at: date
    uuid: str
    value: float
    rows: int

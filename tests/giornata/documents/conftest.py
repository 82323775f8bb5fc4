"""A small good project on disk, which tests break in one place each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from giornata.documents import load_project
from giornata.errors import DocumentErrors, Problem

GOOD = {
    "project.yaml": """\
description: Parcels
owner: shop-team
start_date: 2024-01-01
""",
    "tables/orders.yaml": """\
description: Orders
key: [order_id]
event_time: ordered_at
columns:
  order_id: str
  shop: str
  weight: float
  ordered_at: timestamp
  packed_at: timestamp
  items: int
known_at: {items: packed_at}
""",
    "tables/orders.py": "def load(spark, start, end):\n    return None\n",
    "tables/deliveries.yaml": """\
description: Deliveries
key: [order_id]
event_time: delivered_at
columns: {order_id: str, delivered_at: timestamp, hours: float, damaged: bool}
""",
    "features/shop_load.yaml": """\
description: How busy a shop is
owner: shop-team
entity: {shop: str}
schedule: "*/15 * * * *"
ttl: 12h
features:
  orders_1h: {type: int, description: Orders in the last hour}
expect:
  - expect_column_values_to_be_between: {column: orders_1h, min_value: 0}
    policy: quarantine
""",
    "features/shop_load.sql": "SELECT 1 WHERE :from < :to\n",
    "models/hours.yaml": """\
description: Hours to delivery
owner: shop-team
type: xgboost
task: regression
data: {table: orders, key: [order_id], event_time: ordered_at}
label: {table: deliveries, value: hours, event_time: delivered_at}
split: {train: 270d, validation: 0.2, test: 30d}
features:
  weight: row.weight
  busy: coalesce(store.shop_load.orders_1h, 0)
partition: {by: [row.shop], min_rows: 200}
parameters: {max_depth: 3}
search: {trials: 3, metric: rmse, space: {max_depth: {int: [2, 8]}}}
deploy: {tag: production, modes: [batch], gate: {rmse: {max: 16}}}
monitor:
  log: 12.5%
  alerts:
    - {metric: rmse, above: 18, over: 7d, mail: [shop-team@example.org]}
""",
}


WINDOWS = """\
description: What a shop has been sending
owner: shop-team
entity: {shop: str}
ttl: 2d
events: {table: orders, time: packed_at, filed_ahead: 3d}
features:
  orders_6h: {type: int, description: Orders, window: {count: order_id, over: 6h}}
  weight_p90_1d: {type: float, description: Kilograms, window: {quantile: weight, share: 0.9, over: 1d}}
"""

UDFS = "def grams(weight: float) -> float:\n    return weight * 1000\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the good project `shop`, below the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "shop"
    for name, text in GOOD.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def problems_after(shop: Path) -> Callable[..., list[Problem]]:
    """Replaces `old` by `new` in one file of the project and returns the problems that are then found."""

    def change(name: str, old: str, new: str) -> list[Problem]:
        path = shop / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is not once in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(DocumentErrors) as caught:
            load_project(shop)
        return list(caught.value.problems)

    return change

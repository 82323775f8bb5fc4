"""When a day is late, by hand: a day ends at midnight UTC, and its `sla` begins there."""

from datetime import UTC, date, datetime, timedelta

import pytest

from giornata.catalogue.freshness import due, late_since
from giornata.documents import FeatureGroup

FIRST = date(2013, 1, 1)


def group(sla: str | None) -> FeatureGroup:
    return FeatureGroup.model_validate(
        {
            "description": "d",
            "owner": "o",
            "entity": {"place": "str"},
            "features": {"level": {"type": "float", "description": "d"}},
            **({"sla": sla} if sla else {}),
        }
    )


@pytest.mark.parametrize(
    ("sla", "newest", "moment"),
    [
        ("6h", date(2013, 11, 30), datetime(2013, 12, 2, 6, tzinfo=UTC)),
        ("6h", None, datetime(2013, 1, 2, 6, tzinfo=UTC)),
        ("2d", date(2013, 2, 28), datetime(2013, 3, 4, tzinfo=UTC)),
        (None, date(2013, 11, 30), None),
        (None, None, None),
    ],
)
def test_due(sla: str | None, newest: date | None, moment: datetime | None) -> None:
    assert due(group(sla), newest, FIRST) == moment
    if moment:
        assert late_since(group(sla), newest, FIRST, moment) is None
        assert late_since(group(sla), newest, FIRST, moment + timedelta(milliseconds=1)) == moment
    else:
        assert late_since(group(sla), newest, FIRST, datetime(2099, 1, 1, tzinfo=UTC)) is None

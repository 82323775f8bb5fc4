"""The document `project.yaml`: owner, schedule and first day of a project."""

from giornata.documents.base import Date, Schedule, Text
from giornata.schema import Document


class Project(Document):
    """A project: the owner and schedule of everything in its folder.

    `schedule` is when its data is loaded and scored (None: only on request), `start_date` the first day (UTC) of its
    data.
    """

    description: Text
    owner: Text
    schedule: Schedule | None = None
    start_date: Date

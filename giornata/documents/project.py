"""The document `project.yaml`: whose the project is and when its data begins."""

from giornata.documents.base import Date, Schedule, Text
from giornata.schema import Document


class Project(Document):
    """A project: the owner and rhythm of everything in its folder.

    `schedule` is when its data is loaded and scored (None: only on request), `start_date` the first day (UTC)
    of its data.
    """

    description: Text
    owner: Text
    schedule: Schedule | None = None
    start_date: Date

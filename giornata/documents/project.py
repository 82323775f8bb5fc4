"""The document `project.yaml`: owner, schedule, first day and resources of a project."""

from giornata.documents.base import Date, Schedule, Text
from giornata.documents.resources import StageResources
from giornata.schema import Document


class Project(Document):
    """A project: the owner and schedule of everything in its folder.

    `schedule` is when its data is loaded and scored (None: only on request), `start_date` the first day (UTC) of its
    data, `resources` the executors of its jobs other than trainings.
    """

    description: Text
    owner: Text
    schedule: Schedule | None = None
    start_date: Date
    resources: StageResources = StageResources()

"""The moments that a request may ask about: those that a version's document allows, relative to now."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from giornata.documents.base import format_duration
from giornata.records.model_version import ModelVersion


@dataclass(frozen=True, slots=True)
class AllowedMoments:
    """From `past` before now, or from `begin` where no `past` is stated, to `ahead` after now."""

    begin: datetime
    past: timedelta | None
    ahead: timedelta

    def problem(self, moment: datetime, now: datetime) -> str | None:
        """Why a request about `moment` is not allowed, as a sentence without its subject; None if it is."""
        # Differences, because now - past may lie before the calendar.
        if moment - now > self.ahead:
            return (
                f"is {_shown(moment)}, more than {format_duration(self.ahead)} after now, {_shown(now)}: later than "
                "`online: {moments: {ahead: …}}` of the model's document allows"
            )
        if self.past is None and moment < self.begin:
            return (
                f"is {_shown(moment)}, before {_shown(self.begin)}, where the training of this version begins; "
                "`online: {moments: {past: …}}` in the model's document allows other moments"
            )
        if self.past is not None and now - moment > self.past:
            return (
                f"is {_shown(moment)}, more than {format_duration(self.past)} before now, {_shown(now)}: earlier than "
                "`online: {moments: {past: …}}` of the model's document allows"
            )
        return None


def moments_of(version: ModelVersion) -> AllowedMoments:
    """The moments that a version may be asked about."""
    configuration = version.configuration
    stated = configuration.online.moments
    return AllowedMoments(
        version.windows["train"].start, stated.past, stated.ahead or configuration.usual_ahead
    )


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"

"""Errors of the local stack."""

from giornata.errors import GiornataError


class StackError(GiornataError):
    """The local stack cannot start, run or stop; the message says which part, why and what to do."""

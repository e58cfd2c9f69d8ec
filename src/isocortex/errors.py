"""The errors that reach a person: one line that says what, where, found, expected, what to do."""

from __future__ import annotations


class IsocortexError(Exception):
    """Base of every error that is the user's to mend; the command line prints it and exits with 1."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)


class StudyError(IsocortexError):
    """A study, or the catalogue, that cannot be run as it is written."""


class DataError(IsocortexError):
    """A recording, a stimulus table or a file of activations that does not hold what it must."""


class StoreError(IsocortexError):
    """A file of ours that is missing, incomplete, corrupt or of another recipe."""


class FetchError(IsocortexError):
    """A download that failed, or that is not what the catalogue says."""

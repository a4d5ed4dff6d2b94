"""What nobody foresaw while a dataset was read: told as a defect of ours, its trace in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from frontrunner.errors import DatasetTooLarge, FrontrunnerError
from frontrunner.failures import refusal_of


@contextmanager
def explained(subject: str) -> Iterator[None]:
    """Errors that name a user's input pass; whatever else is raised becomes one, so that no trace reaches a user.

    Args:
        subject: what is read, as messages call it.

    Raises:
        DatasetTooLarge: there is not enough memory.
        FileRefused, DiskFull: the system does not let us read or write.
        InternalError: an error that nobody foresaw.
    """
    try:
        yield
    except FrontrunnerError:
        raise
    except MemoryError:
        raise DatasetTooLarge(f"reading {subject} needs more memory than there is") from None
    except Exception as error:
        raise refusal_of(error, f"reading {subject}") from error

"""What went wrong with one piece of work, as an error that a result can name: nothing ends more than its own step.

A step meets weights, configurations and tokenizers of strangers through libraries of others, so anything can come out
of it. What somebody's input caused is a `FrontrunnerError` already. The rest becomes one here: too little memory, a
full disk, or a defect of ours, which is logged with its trace.
"""

from __future__ import annotations

import errno
import logging

from frontrunner.errors import (
    CheckpointUnreadable,
    DiskFull,
    FileRefused,
    FrontrunnerError,
    InternalError,
    OutOfMemory,
    UnreadableDataset,
)
from frontrunner.extras import missing_extra

# No room, no quota, or a file as large as this process may write.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# No right to a file, or to write where it lies; a disk that fails; too many open files.
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE)
# What torch says on a CPU, where it has no exception of its own for it; and what CUDA's libraries say.
_MEMORY_PHRASES = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
# Raised by libraries written in Rust where they meet what they did not expect; no subclass of `Exception`.
_PANIC = "PanicException"
_REASON_CHARACTERS = 500

_log = logging.getLogger("frontrunner.failures")


def is_failure(error: BaseException) -> bool:
    """Whether `error` is the work's own, and not the wish of somebody that the work stop."""
    return isinstance(error, (Exception, SystemExit)) or type(error).__name__ == _PANIC


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether Python, torch or CUDA found too little memory, here or in what led to `error`."""
    while error is not None:
        if isinstance(error, (MemoryError, OutOfMemory)) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _MEMORY_PHRASES):
            return True
        error = error.__cause__
    return False


def is_disk_full(error: BaseException) -> bool:
    """Whether a write found no room.

    NumPy says of a short write how much was written, and not why: only a full disk cuts one short.
    """
    return isinstance(error, OSError) and (
        error.errno in DISK_FULL or (error.errno is None and str(error).endswith(" written"))
    )


def is_refused(error: BaseException) -> bool:
    """Whether the system refused a file: no fault of what was to be in it."""
    return isinstance(error, OSError) and error.errno in _REFUSED


def _without_blame(error: BaseException) -> BaseException:
    """What led to an error that blames a checkpoint or a dataset, where a file could not even be read or written."""
    cause: BaseException | None = error
    while isinstance(cause, (CheckpointUnreadable, UnreadableDataset)):
        cause = cause.__cause__
    return cause if isinstance(cause, OSError) and (is_refused(cause) or is_disk_full(cause)) else error


def refusal_of(error: BaseException, subject: str) -> FrontrunnerError:
    """`error` as a result names it: with a stable code, and a reason that a person can act on.

    Args:
        error: what the work raised.
        subject: what the work was about, a checkpoint's id for instance.

    Returns:
        `error` itself where it has a code, unless it blames a file that this machine could not read or write; else
        `OutOfMemory`, `FileRefused`, `DiskFull`, `ExtraMissing`, or `InternalError` for what is our fault, after a log
        entry with its trace.

    Example:
        >>> refusal_of(MemoryError(), "local:large").code
        'out_of_memory'
    """
    if is_out_of_memory(error):
        return OutOfMemory(
            f"{subject} needs more memory than there is: {_said_by(error)}; "
            "choose a smaller one (max_parameters, or a variant such as #layer=6), or a machine with more memory"
        )
    error = _without_blame(error)
    if is_refused(error):
        _log.error("a file was refused in %s", subject, exc_info=error)
        return FileRefused(
            f"{subject}: the system refuses a file ({_said_by(error)}); give the right to it, or try again"
        )
    if isinstance(error, FrontrunnerError):
        return error
    if is_disk_full(error):
        return DiskFull(f"{subject}: the disk has no room left ({_said_by(error)}); make room and try again")
    if (missing := missing_extra(error)) is not None:
        return missing
    _log.error("unexpected failure of %s", subject, exc_info=error)
    return InternalError(
        f"{subject}: this is a defect of Frontrunner and not of your data ({_said_by(error)}); "
        "its log has the trace, please report it"
    )


def _said_by(error: BaseException) -> str:
    said = " ".join(str(error).split())[:_REASON_CHARACTERS]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__

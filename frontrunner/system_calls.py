"""Refusing calls of the system that reach past Landlock and namespaces: a filter (seccomp) that stays for good.

Landlock says which files may be opened. It says nothing of a file's mode, owner, times and attributes, which whoever
owns it changes by its name; of sockets that have a name in the file system; and, before Linux 6.12, of signals. Limits
of other processes, keys that a user's processes share and calls that go round such filters are refused with them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Numbers of calls on x86-64 and on 64-bit ARM; None where there is no such call.
_Numbers = tuple[int | None, int | None]
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_ABOUT_FILES: dict[str, _Numbers] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469), "open_by_handle_at": (304, 265),
}  # fmt: skip
_ABOUT_OTHERS: dict[str, _Numbers] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "tkill": (200, 130),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
}  # fmt: skip
# The pipe or pair of sockets that a process was started with stays; another is not to be had.
_SOCKETS: dict[str, _Numbers] = {"socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203)}
# Whom they are about is their first argument: this process alone.
_OWN: dict[str, _Numbers] = {
    "kill": (62, 129), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
}  # fmt: skip
_LIMITS: _Numbers = (302, 261)  # prlimit64, of which 0 is this process as well
# What they do is their second argument. fcntl: F_SETOWN, F_SETSIG and F_SETOWN_EX send any signal to anybody. ioctl:
# the same by FIOSETOWN and SIOCSPGRP; TIOCSTI and TIOCLINUX type into a terminal.
_FCNTL: _Numbers = (72, 25)
_FCNTL_REFUSED = (8, 10, 15)
_IOCTL: _Numbers = (16, 29)
_IOCTL_REFUSED = (0x8901, 0x8902, 0x5412, 0x541C)

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
# Where the number, the machine and the arguments stand in what a filter sees; of an argument the lower half.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_LOAD, _IS, _IS_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
# Calls of the other convention of x86-64 begin here.
_X32 = 0x40000000


@dataclass(frozen=True)
class _Instruction:
    """One step of the filter: a word of the kernel's, how far to go on if it holds and if not, and its operand."""

    code: int
    operand: int
    if_so: int = 0
    if_not: int = 0

    def packed(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.if_so, self.if_not, self.operand)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_calls(libc: ctypes.CDLL, *, with_sockets: bool) -> None:
    """Refuse them to this thread and those that it starts; `PR_SET_NO_NEW_PRIVS` is set already.

    Args:
        libc: the C library, loaded with `use_errno`.
        with_sockets: whether new sockets are refused too: then it has no network, whatever the system allows.

    Raises:
        OSError: the system does not filter calls, or is none that this is written for.
    """
    if platform.machine() not in _MACHINES:
        raise OSError(errno.ENOSYS, f"not written for {platform.machine()}")
    packed = b"".join(step.packed() for step in _filter(*_MACHINES[platform.machine()], with_sockets=with_sockets))
    program = _Program(len(packed) // 8, packed)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _filter(column: int, machine: int, *, with_sockets: bool) -> Iterator[_Instruction]:
    own = os.getpid()
    yield _Instruction(_LOAD, _MACHINE)
    yield _Instruction(_IS, machine, if_so=1)
    yield _Instruction(_RETURN, _KILL)
    yield _Instruction(_LOAD, _NUMBER)
    yield _Instruction(_IS_AT_LEAST, _X32, if_not=1)
    yield _Instruction(_RETURN, _REFUSE | errno.ENOSYS)
    for numbers in (*_ABOUT_FILES.values(), *_ABOUT_OTHERS.values()):
        yield from _call(numbers[column], [_Instruction(_RETURN, _REFUSE | errno.EPERM)])
    if with_sockets:
        for numbers in _SOCKETS.values():
            yield from _call(numbers[column], [_Instruction(_RETURN, _REFUSE | errno.EACCES)])
    for numbers in _OWN.values():
        yield from _call(numbers[column], [*_decide(0, (own,), _ALLOW, _REFUSE | errno.EPERM)])
    yield from _call(_LIMITS[column], [*_decide(0, (0, own), _ALLOW, _REFUSE | errno.EPERM)])
    yield from _call(_FCNTL[column], [*_decide(1, _FCNTL_REFUSED, _REFUSE | errno.EPERM, _ALLOW)])
    yield from _call(_IOCTL[column], [*_decide(1, _IOCTL_REFUSED, _REFUSE | errno.EPERM, _ALLOW)])
    yield _Instruction(_RETURN, _ALLOW)


def _call(number: int | None, then: list[_Instruction]) -> Iterator[_Instruction]:
    """What becomes of one call; others go on behind it."""
    if number is not None:
        yield _Instruction(_IS, number, if_not=len(then))
        yield from then


def _decide(argument: int, values: tuple[int, ...], if_one: int, otherwise: int) -> Iterator[_Instruction]:
    """One answer where an argument is one of some values, and another for the rest."""
    yield _Instruction(_LOAD, _ARGUMENTS + 8 * argument)
    for value in values:
        yield _Instruction(_IS, value, if_not=1)
        yield _Instruction(_RETURN, if_one)
    yield _Instruction(_RETURN, otherwise)

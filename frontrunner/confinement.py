"""Taking from a process, before hostile bytes reach it, what it does not need: network, other files, writing.

Each part is the operating system's, and none is everywhere: containers forbid namespaces, old kernels have no Landlock.
What a process could be rid of is told, and the rest of it stays. All of it holds for the calling thread and those that
it starts, so it comes before the first thread; nothing of it can be undone. Linux only.

| part | how |
|---|---|
| no network | an empty network namespace: root's own, or one in a user namespace; no socket can be opened besides |
| no files but those named | Landlock; no program can be started, as none may be executed |
| another user | root becomes `nobody`, who may read what root may and write nothing; others lose every capability |
| no other calls | seccomp: modes and times of files, signals to others, sockets; see `frontrunner.system_calls` |

Root that is to write stays root, and keeps of its capabilities those over files, as far as Landlock lets it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import stat
import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from frontrunner.processes import module_command
from frontrunner.system_calls import refuse_calls

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 8, 38
_CAPABILITY_VERSION_3, _CAP_DAC_READ_SEARCH = 0x20080522, 2
# CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER: root's own files and those of others, as far as Landlock lets it.
_OVER_FILES = 1 << 1 | 1 << _CAP_DAC_READ_SEARCH | 1 << 3
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_VERSION, _LANDLOCK_PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MOVE, _TRUNCATE, _CONTROL_DEVICE = 1 << 13, 1 << 14, 1 << 15
# Files and folders may be made, replaced and removed; no links, devices, pipes or sockets.
_OF_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE
_OF_FOLDERS = _OF_FILES | _READ_DIR | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _MOVE
_OF_HANDED = _READ_FILE | _READ_DIR | _REMOVE_DIR | _REMOVE_FILE
# Rights over files that each version of Landlock knows, TCP since its fourth, signals and abstract sockets its sixth.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NOBODY = 65534
_PROBE_TIMEOUT_S = 30.0
# What Python and its libraries read while they run: code, the processors' number, the time zone.
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/null", "/dev/urandom",
    "/dev/zero",
)  # fmt: skip


@dataclass(frozen=True)
class Confinement:
    """What a process was rid of: `confined`, or why it was not."""

    network: str
    files: str
    user: str
    calls: str

    @property
    def is_whole(self) -> bool:
        """Whether every part is in force."""
        return {self.network, self.files, self.user, self.calls} == {"confined"}


def limit_resources(*, memory_bytes: int, cpu_s: int, open_files: int) -> None:
    """Bound what this process takes: address space, processor time, open files; it writes no file, nor a core."""
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    # The first limit says why the process ends, the second ends it whatever it does.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))


def confine(
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    devices: Iterable[Path] = (),
    handed: Iterable[Path] = (),
) -> Confinement:
    """Take network, files and rights from this process, as far as the system lets it.

    Args:
        readable: files, and folders with what is in them, that it reads beside Python and its libraries.
        writable: folders that it reads and writes.
        devices: devices, and folders of them, that it uses, such as those of a GPU; sockets are left to it with them,
            as drivers open some.
        handed: folders that it reads and removes from: what lies there may be another's file under a second name, so
            nothing in it can be written to, nor moved to where it could.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    is_root = os.geteuid() == 0
    network = _attempt(lambda: _leave_network(libc, is_root=is_root))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        network = _refused()
    system = map(Path, (*_SYSTEM, sys.prefix, sys.base_prefix, *sys.path))
    kept, used = tuple(writable), tuple(devices)
    rights = {
        **dict.fromkeys((*system, *readable), _READ_FILE | _READ_DIR),
        Path(os.devnull): _READ_FILE | _WRITE_FILE,
        **dict.fromkeys(used, _READ_FILE | _READ_DIR | _WRITE_FILE | _CONTROL_DEVICE),
        **dict.fromkeys(handed, _OF_HANDED),
        **dict.fromkeys(kept, _OF_FOLDERS),
    }
    files = _attempt(lambda: _see_only(libc, rights))
    if is_root and not kept:
        user = _attempt(lambda: _become_nobody(libc))
    else:
        user = _attempt(lambda: _keep_capabilities(libc, _OVER_FILES if is_root else 0))
    calls = _attempt(lambda: refuse_calls(libc, with_sockets=not used))
    if calls == "confined" and not used:  # who can open no socket needs no network of its own
        network = calls
    return Confinement(network, files, user, calls)


def probe() -> Confinement:
    """What `confine` does here, tried in a process of its own."""
    try:
        said = subprocess.run(module_command(__name__), capture_output=True, check=True, timeout=_PROBE_TIMEOUT_S)
        return Confinement(**json.loads(said.stdout))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Confinement(*[f"unknown: {type(error).__name__}"] * len(fields(Confinement)))


def _attempt(step: object) -> str:
    try:
        step()  # type: ignore[operator]
    except OSError as error:
        return error.strerror or str(error)
    except AttributeError:  # a C library without such a function
        return "not on this system"
    return "confined"


def _refused() -> str:
    return os.strerror(ctypes.get_errno())


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), _refused())
    return result


def _leave_network(libc: ctypes.CDLL, *, is_root: bool) -> None:
    own = _CLONE_NEWNET | _CLONE_NEWIPC
    if not is_root or libc.unshare(own) != 0:
        _check(libc.unshare(own | _CLONE_NEWUSER))


def _see_only(libc: ctypes.CDLL, rights: Mapping[Path, int]) -> None:
    version = _check(libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION))
    handled = _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]
    ruled = struct.pack("=QQQ", handled, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    rules = _check(libc.syscall(_LANDLOCK_CREATE_RULESET, ruled, ctypes.c_size_t(len(ruled)), 0))
    try:
        for place, allowed in rights.items():
            if place.is_absolute():
                with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                    _allow(libc, rules, place, allowed & handled)
        _check(libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, place: Path, allowed: int) -> None:
    """Add a rule.

    What the kernel writes into /proc stays open while this process lives: once the system forgets such a name to save
    memory, it makes another file of it, which no rule names.
    """
    file = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            allowed &= _OF_FILES | _CONTROL_DEVICE
        rule = struct.pack("=Qi", allowed, file)
        _check(libc.syscall(_LANDLOCK_ADD_RULE, rules, _LANDLOCK_PATH_BENEATH, rule, 0))
    finally:
        if not place.is_relative_to("/proc"):
            os.close(file)


def _become_nobody(libc: ctypes.CDLL) -> None:
    """Root's files stay readable: uploads are its own, and Landlock names those that may be read."""
    _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    _keep_capabilities(libc, 1 << _CAP_DAC_READ_SEARCH)


def _keep_capabilities(libc: ctypes.CDLL, kept: int) -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable; those above the first 32 follow.
    _check(libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(confine())))

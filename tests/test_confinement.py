"""What a confined process cannot do, tried in one: whatever `confine` says is in force must be."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest

from frontrunner.confinement import Confinement, probe

# Tries each thing and tells what came of it; {errno} names of refusals.
_TRIES = """
import errno, fcntl, json, os, resource, signal, socket, subprocess, sys
from dataclasses import asdict
from pathlib import Path
from frontrunner.confinement import confine, limit_resources

given, secret, port, parent, listening, scratch = sys.argv[1:]
inherited = os.open("/dev/null", os.O_RDONLY)
found = asdict(confine([Path(given)], [Path(scratch)] if scratch else []))

def connect():
    socket.create_connection(("127.0.0.1", int(port)), timeout=30).close()

def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(port)))

def connect_by_path():
    socket.socket(socket.AF_UNIX).connect(listening)

tries = {
    "read what is given": lambda: Path(given).read_bytes(),
    "signal itself": lambda: os.kill(os.getpid(), 0),
    "limit itself": lambda: resource.prlimit(0, resource.RLIMIT_CORE, (0, 0)),
    "look at a descriptor": lambda: fcntl.fcntl(inherited, fcntl.F_GETFD),
    "read a secret": lambda: Path(secret).read_bytes(),
    "read another's memory": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
    "write": lambda: Path(given).write_bytes(b"x"),
    "make a file": lambda: Path(given).with_name("new").write_bytes(b"x"),
    "remove": lambda: Path(secret).unlink(),
    "run a program": lambda: subprocess.run(["/bin/true"], check=True),
    "connect": connect,
    "send a datagram": datagram,
    "stop another": lambda: os.kill(int(parent), 0),
    "stop everybody": lambda: os.kill(-1, 0),
    "have another signalled": lambda: fcntl.fcntl(inherited, fcntl.F_SETOWN, int(parent)),
    "limit another": lambda: resource.prlimit(int(parent), resource.RLIMIT_CORE),
    "change a mode": lambda: os.chmod(secret, 0o666),
    "change a mode through what is open": lambda: os.fchmod(os.open(given, os.O_RDONLY), 0o666),
    "change times": lambda: os.utime(secret),
    "change an owner": lambda: os.chown(secret, os.getuid(), -1),
    "change an attribute": lambda: os.setxattr(secret, b"user.x", b"1"),
    "connect by a path": connect_by_path,
    "make sockets": socket.socketpair,
    "become root": lambda: os.setuid(0),
}
for what, act in tries.items():
    try:
        act()
        found[what] = "done"
    except OSError as error:
        found[what] = errno.errorcode.get(error.errno, str(error))
found["uid"] = os.geteuid()
print(json.dumps(found))
"""
_REFUSED = {
    "files": ("read a secret", "write", "make a file", "remove", "run a program", "read another's memory"),
    "network": ("connect", "send a datagram"),
    "calls": (
        "connect by a path",
        "stop another",
        "stop everybody",
        "have another signalled",
        "limit another",
        "change a mode",
        "change a mode through what is open",
        "change times",
        "change an owner",
        "change an attribute",
        "make sockets",
    ),
}
_LEFT = ("read what is given", "signal itself", "limit itself", "look at a descriptor")


@pytest.fixture(params=["reads", "writes"])
def tried(request, tmp_path, tmp_path_factory):
    """What came of each thing, by its name: of a process that reads alone, and of one that writes to a folder."""
    given, secret = tmp_path / "given.csv", tmp_path / "secret.key"
    scratch = str(tmp_path_factory.mktemp("scratch")) if request.param == "writes" else ""
    # Paths of sockets are short.
    by_path = Path(tempfile.mkdtemp(prefix="s")) / "s"
    given.write_text("text,label\n")
    secret.write_text("secret")
    secret.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket(socket.AF_UNIX) as other:
        other.bind(str(by_path))
        other.listen()
        port = listening.getsockname()[1]
        asked = [str(given), str(secret), str(port), str(os.getpid()), str(by_path), scratch]
        done = subprocess.run(
            [sys.executable, "-c", _TRIES, *asked], capture_output=True, text=True, timeout=300, check=False
        )
    shutil.rmtree(by_path.parent)
    assert done.returncode == 0, done.stderr
    assert secret.read_text() == "secret"
    assert given.read_text() == "text,label\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.csv", "secret.key"]
    return json.loads(done.stdout)


def test_what_is_said_to_be_in_force_is(tried):
    assert [tried[thing] for thing in _LEFT] == ["done"] * len(_LEFT)
    for part, things in _REFUSED.items():
        if tried[part] == "confined":
            for thing in things:
                assert tried[thing] != "done", f"{thing}, although {part} are confined"
        else:
            assert tried[part], "why it is not is told"


_OPEN = """
import json, os
from frontrunner.confinement import confine

files = confine().files
links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
print(json.dumps([files, [os.readlink(link) for link in links if os.path.islink(link)]]))
"""


def test_what_may_be_read_of_the_kernels_own_files_is_kept_open():
    """Else the rule is lost with the name that the system forgets when memory is short."""
    done = subprocess.run([sys.executable, "-c", _OPEN], capture_output=True, text=True, timeout=300, check=True)
    files, opened = json.loads(done.stdout)
    assert files != "confined" or {"/proc/cpuinfo", "/proc/meminfo", "/proc/stat"} <= set(opened)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("tried", ["reads"], indirect=True)
def test_root_becomes_nobody(tried):
    assert (tried["user"], tried["uid"], tried["become root"]) == ("confined", 65534, "EPERM")


def test_what_is_in_force_is_found_without_being_confined():
    found = probe()
    assert all(getattr(found, part.name) for part in fields(Confinement))
    assert not any("unknown" in getattr(found, part.name) for part in fields(Confinement))

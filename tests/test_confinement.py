"""What a confined process cannot do, tried in one: whatever `confine` says is in force must be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import fields

import pytest

from frontrunner.confinement import Confinement, probe

# Tries each thing and tells what came of it; {errno} names of refusals.
_TRIES = """
import errno, json, os, signal, socket, subprocess, sys
from dataclasses import asdict
from pathlib import Path
from frontrunner.confinement import confine, limit_resources

given, secret, port, parent = sys.argv[1:]
found = asdict(confine([Path(given)]))

def connect():
    socket.create_connection(("127.0.0.1", int(port)), timeout=30).close()

def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(port)))

tries = {
    "read what is given": lambda: Path(given).read_bytes(),
    "read a secret": lambda: Path(secret).read_bytes(),
    "read another's memory": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
    "write": lambda: Path(given).write_bytes(b"x"),
    "make a file": lambda: Path(given).with_name("new").write_bytes(b"x"),
    "remove": lambda: Path(secret).unlink(),
    "run a program": lambda: subprocess.run(["/bin/true"], check=True),
    "connect": connect,
    "send a datagram": datagram,
    "stop another": lambda: os.kill(int(parent), 0),
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
    "user": ("become root",),
}


@pytest.fixture
def tried(tmp_path):
    """What came of each thing, by its name."""
    given, secret = tmp_path / "given.csv", tmp_path / "secret.key"
    given.write_text("text,label\n")
    secret.write_text("secret")
    secret.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, "-c", _TRIES, str(given), str(secret), str(port), str(os.getpid())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert secret.read_text() == "secret"
    assert given.read_text() == "text,label\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.csv", "secret.key"]
    return json.loads(done.stdout)


def test_what_is_said_to_be_in_force_is(tried):
    assert tried["read what is given"] == "done"
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
def test_root_becomes_nobody(tried):
    assert (tried["user"], tried["uid"]) == ("confined", 65534)


def test_what_is_in_force_is_found_without_being_confined():
    found = probe()
    assert all(getattr(found, part.name) for part in fields(Confinement))
    assert not any("unknown" in getattr(found, part.name) for part in fields(Confinement))

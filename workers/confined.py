"""The confined half of a runner: opens what strangers made, and can reach nothing else.

Network, files and rights are taken from it before anything is loaded that starts a thread, see
`frontrunner.confinement`: a thread that is there already would keep them.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
from dataclasses import asdict
from pathlib import Path

from frontrunner.confinement import confine
from workers.places import Places

# What drives GPUs, where there are any: NVIDIA's devices, and AMD's.
_DEVICES = ("nvidia*", "kfd", "dri")
_ABOUT_DEVICES = (
    "/proc/driver", "/proc/devices", "/proc/modules", "/sys/bus", "/sys/class", "/sys/devices", "/sys/module",
)  # fmt: skip


def main() -> None:
    """Do steps until the other half hangs up."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    places = Places.of_json(sys.argv[1])
    connection = socket.socket(fileno=int(sys.argv[2]))
    said = None
    if places.is_confined:
        devices = [path for pattern in _DEVICES for path in Path("/dev").glob(pattern)]
        about = map(Path, _ABOUT_DEVICES if devices else ())
        # Where this program lies, as an editable installation puts no folder on the path.
        said = confine(
            [Path(__file__).resolve().parents[1], *places.readable, *places.filled, *about],
            [places.scratch, *places.writable],
            devices,
            [places.handed],
        )
    from workers.stepping import do_steps

    logging.getLogger("frontrunner.runner").debug("confined: %s", said and asdict(said))
    do_steps(connection, places)
    os._exit(0)


if __name__ == "__main__":
    main()

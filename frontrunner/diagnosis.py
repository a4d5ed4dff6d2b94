"""Whether everything that work needs is there, and what to do where it is not: the checks of `frontrunner doctor`.

A check looks, changes nothing that lasts, and never raises. Each room brings its own through the entry-point group
`frontrunner.checks`: a function of the settings that yields findings.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.util import find_spec

import httpx
import psutil
from pydantic import BaseModel, ConfigDict, Field

from frontrunner import __version__, confinement
from frontrunner.errors import FrontrunnerError
from frontrunner.extras import missing_extra
from frontrunner.settings import Settings
from frontrunner.store import open_store

GROUP = "frontrunner.checks"
# With less room than this a checkpoint, its features or an upload may not fit.
LITTLE_DISK_BYTES, NO_DISK_BYTES = 5 << 30, 64 << 20
# A small checkpoint is read in less; large ones are not.
LITTLE_MEMORY_BYTES = 2 << 30
# Webhooks are believed for five minutes, tokens with half a minute of leeway.
SKEW_S = 15.0
_HUB_TIMEOUT_S = 5.0
_PROBED = b"frontrunner doctor"
# What each library is for; what it is installed by stands in `frontrunner.extras`.
_LIBRARIES = {
    "torch": "reading and tuning checkpoints: pip install 'frontrunner[images]' or 'frontrunner[texts]'",
    "torchvision": "images: pip install 'frontrunner[images]'",
    "timm": "images: pip install 'frontrunner[images]'",
    "transformers": "images and texts: pip install 'frontrunner[images]' or 'frontrunner[texts]'",
    "openvino": "",
    "onnxruntime": "",
    "peft": "",
    "fastapi": "",
    "celery": "",
    "sqlalchemy": "",
}


class Verdict(StrEnum):
    """Of a check, from good to bad."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(BaseModel):
    """What one check found."""

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: Verdict
    found: str
    advice: str = Field(default="", description="What to do; empty where nothing has to be done.")


class Diagnosis(BaseModel):
    """What all checks found."""

    verdict: Verdict = Field(description="The worst of all.")
    findings: list[Finding]

    @classmethod
    def of(cls, findings: list[Finding]) -> Diagnosis:
        """Of what was found.

        Example:
            >>> Diagnosis.of([Finding(name="disk", verdict=Verdict.WARNING, found="3 GB are free")]).verdict.value
            'warning'
        """
        worst = max((list(Verdict).index(each.verdict) for each in findings), default=0)
        return cls(verdict=list(Verdict)[worst], findings=findings)


Check = Callable[[Settings], Iterator[Finding]]


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Run every check on this machine, one after the other."""
    for check in (_versions, _devices, _memory, _disk, _store, _hubs, _hub, _confinement):
        yield from check(settings)
    for point in sorted(entry_points(group=GROUP)):
        yield from _brought(point, settings)


def good(name: str, found: str) -> Finding:
    """A check that found what it looked for."""
    return Finding(name=name, verdict=Verdict.OK, found=found)


def doubtful(name: str, found: str, advice: str) -> Finding:
    """One that found what may stand in the way."""
    return Finding(name=name, verdict=Verdict.WARNING, found=found, advice=advice)


def bad(name: str, found: str, advice: str) -> Finding:
    """One that found what stands in the way."""
    return Finding(name=name, verdict=Verdict.ERROR, found=found, advice=advice)


def clock(name: str, skew_s: float, of: str) -> Finding:
    """How far this machine's clock is from another's."""
    if abs(skew_s) <= SKEW_S:
        return good(name, f"as {of} says, within {max(abs(skew_s), 1):.0f} s")
    ahead = "ahead of" if skew_s > 0 else "behind"
    return doubtful(
        name, f"{abs(skew_s):.0f} s {ahead} {of}", "set it by NTP: signatures and tokens are refused otherwise"
    )


def skew_of(answer: httpx.Response) -> float | None:
    """Seconds that this machine's clock is ahead of the one that wrote `Date`; None where it has none."""
    try:
        return time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None


def _brought(point: EntryPoint, settings: Settings) -> Iterator[Finding]:
    try:
        check: Check = point.load()
    except Exception as error:
        missing = missing_extra(error)
        said = "not installed" if missing is not None else f"cannot be loaded: {error}"
        advice = f"only where it is wanted: {missing.reason}" if missing is not None else ""
        yield Finding(name=point.name, verdict=Verdict.OK if missing else Verdict.ERROR, found=said, advice=advice)
        return
    yield from check(settings)


def _versions(_settings: Settings) -> Iterator[Finding]:
    found = f"frontrunner {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield good("versions", found)
    installed, missing = [], {}
    for name, use in _LIBRARIES.items():
        try:
            installed.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            if use:
                missing[name] = use
    said = ", ".join(installed) or "none"
    if not missing:
        yield good("libraries", said)
        return
    yield doubtful("libraries", f"{said}; without {', '.join(missing)}", "; ".join(dict.fromkeys(missing.values())))


def _devices(_settings: Settings) -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    yield good("processors", f"{usable} usable")
    if find_spec("torch") is None:
        return
    try:
        import torch

        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    except Exception as error:  # a driver that does not fit says so in many ways
        yield doubtful("GPU", f"cannot be used: {error}", "bring the driver and torch's CUDA together; the CPU is used")
        return
    yield good("GPU", ", ".join(names) or "none; the CPU is used")


def _memory(settings: Settings) -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    found = f"{memory.available / 1e9:,.1f} of {memory.total / 1e9:,.1f} GB are free"
    if memory.available < LITTLE_MEMORY_BYTES:
        yield doubtful("memory", found, "large checkpoints may not fit; close something, or rank small ones")
    else:
        yield good("memory", found)


def _disk(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(home).free
        probe = home / f".doctor-{uuid.uuid4().hex}"
        probe.write_bytes(_PROBED)
        probe.unlink()
    except OSError as error:
        yield bad(
            "disk", f"{home}: {error.strerror}", "let it be written to, or set FRONTRUNNER_HOME to another folder"
        )
        return
    found = f"{free / 1e9:,.1f} GB are free at {home}"
    if free < NO_DISK_BYTES:
        yield bad("disk", found, "make room, or set FRONTRUNNER_HOME to a folder on another disk")
    elif free < LITTLE_DISK_BYTES:
        yield doubtful(
            "disk", found, "checkpoints and features may not fit; FRONTRUNNER_CACHE_MAX_BYTES bounds features"
        )
    else:
        yield good("disk", found)


def _store(settings: Settings) -> Iterator[Finding]:
    where = settings.store_url or str(settings.home)
    name = f"doctor/{uuid.uuid4().hex}"
    try:
        store = open_store(settings)
        with store.writing(name) as file:
            file.write(_PROBED)
        read = store.read(name)
        store.remove(name)
    except FrontrunnerError as error:
        yield bad("store", error.reason, "see FRONTRUNNER_STORE_URL, FRONTRUNNER_STORE_OPTIONS and the bucket's rights")
    except OSError as error:
        yield bad("store", f"{where}: {error}", "let this machine write there")
    else:
        if read == _PROBED:
            yield good("store", f"{where}: written, read and removed")
        else:
            yield bad("store", f"{where}: what was written is read as something else", "look at its disk, or its proxy")


def _hubs(settings: Settings) -> Iterator[Finding]:
    absent = [str(folder) for folder in settings.hub if not folder.is_dir()]
    if absent:
        yield bad("hub folders", f"{', '.join(absent)}: not there", "mend FRONTRUNNER_HUB")
    elif settings.hub:
        yield good("hub folders", ", ".join(map(str, settings.hub)))


def _hub(settings: Settings) -> Iterator[Finding]:
    if settings.hub_mode == "offline":
        yield good("hub", "offline: nothing is fetched (FRONTRUNNER_HUB_MODE)")
        return
    address = settings.hub_endpoint
    try:
        answer = httpx.head(address, timeout=_HUB_TIMEOUT_S, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        advice = "look at the network and HTTPS_PROXY; where it is never reached, set FRONTRUNNER_HUB_MODE=offline"
        yield doubtful("hub", f"{address}: {str(error) or type(error).__name__}", advice)
        return
    if answer.is_server_error:
        yield doubtful("hub", f"{address}: HTTP {answer.status_code}", "try again later, or name a mirror: HF_ENDPOINT")
    else:
        yield good("hub", f"{address} answers; {settings.hub_mode} checkpoints are fetched")
    if (skew := skew_of(answer)) is not None:
        yield clock("clock", skew, address)


def _confinement(_settings: Settings) -> Iterator[Finding]:
    found = confinement.probe()
    if found.is_whole:
        yield good("confinement", "checks of uploads have no network, no files and no rights")
        return
    said = ", ".join(f"{part}: {state}" for part, state in vars(found).items() if state != "confined")
    yield doubtful("confinement", said, "what strangers upload is checked with these rights; see docs/security.md")

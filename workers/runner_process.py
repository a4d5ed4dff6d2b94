"""A runner seen from the supervisor: a process group that takes steps, answers, and can be killed as a whole."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading

import psutil

from frontrunner.processes import module_command
from frontrunner.settings import Settings
from frontrunner.store.remote import EXTRAS
from workers.grants import discard, prepare
from workers.places import Places
from workers.runner_protocol import Answer, Credentials, StartStep, StopStep, line_of, read_answer

# What a runner inherits. Everything else stays behind, database and broker addresses first of all.
_INHERITED = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "COVERAGE_PROCESS_START",
)  # fmt: skip
# How checkpoints are fetched.
_HUB_SETTINGS = ("FRONTRUNNER_HUB_", "HF_ENDPOINT")
# What opens hubs, since the runner is the process that reaches them: told, and not inherited.
_HUB_CREDENTIALS = ("FRONTRUNNER_HUB_TOKEN", "HF_TOKEN")
# Variables that hold the keys of a store, by its kind: told as well; those of any other store stay behind.
_STORE_CREDENTIALS = {"s3": "AWS_", "gcs": "GOOGLE_", "azure": "AZURE_"}
_GRACE_S = 5.0
# Answers that nobody has heard yet: whoever says more waits.
_MAX_UNHEARD = 64
_LISTEN_AGAIN_S = 1.0


class RunnerDied(Exception):
    """The runner ended without an answer; `returncode` is negative for a signal."""

    def __init__(self, returncode: int | None) -> None:
        super().__init__(f"the runner ended with status {returncode}")
        self.returncode = returncode


class RunnerProcess:
    """One `workers.runner`, in a process group of its own.

    Args:
        settings: where its files and the store are.
        places: what its steps may touch on this machine.

    Attributes:
        places: the same.
    """

    def __init__(self, settings: Settings, places: Places) -> None:
        self.places = places
        with contextlib.suppress(OSError):  # whatever needs a folder that cannot be made says so
            prepare(places)
        told = credentials_of(settings)
        inherited = (name for name in os.environ if name in _INHERITED or name.startswith(_HUB_SETTINGS))
        environment = {name: os.environ[name] for name in inherited if not name.startswith(_HUB_CREDENTIALS)}
        environment |= _places(settings) | {"PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            module_command("workers.runner", places.to_json()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self._answers: queue.Queue[Answer | None] = queue.Queue(_MAX_UNHEARD)
        self._is_over = threading.Event()
        threading.Thread(target=self._listen, daemon=True, name=f"runner-{self.pid}").start()
        with contextlib.suppress(RunnerDied):  # whoever hands it a step hears of it
            self._send(Credentials(environment=told))

    @property
    def pid(self) -> int:
        """The process id, which is its group's too."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can take a step."""
        return self._process.poll() is None

    def start_step(self, step: StartStep) -> None:
        """Hand over a step.

        Raises:
            RunnerDied: it is gone.
        """
        self._send(step)

    def stop_at_safe_point(self) -> None:
        """Ask it to stop at the next safe point of its work; it answers `stopped`, or with what it finished.

        Raises:
            RunnerDied: it is gone.
        """
        self._send(StopStep())

    def answer(self, timeout_s: float) -> Answer | None:
        """The next answer, or None if there is none in time.

        Raises:
            RunnerDied: there will be none.
        """
        try:
            message = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if message is None:
            raise RunnerDied(self._process.wait())
        return message

    def resident_bytes(self) -> int:
        """Resident memory of the process and its children; 0 once it is gone."""
        try:
            process = psutil.Process(self.pid)
            return sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))
        except psutil.Error:
            return 0

    def kill(self) -> None:
        """End the whole group now."""
        self._is_over.set()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        discard(self.places)

    def _send(self, instruction: Credentials | StartStep | StopStep) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe above
        try:
            self._process.stdin.write(line_of(instruction))
            self._process.stdin.flush()
        except OSError:
            raise RunnerDied(self._process.poll()) from None

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe above
        for line in self._process.stdout:
            try:
                self._hand_on(read_answer(line))
            except ValueError:
                break  # not a runner's answer: whatever wrote it cannot be trusted to finish
        self._hand_on(None)

    def _hand_on(self, answer: Answer | None) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(queue.Full):
                self._answers.put(answer, timeout=_LISTEN_AGAIN_S)
                return


def _places(settings: Settings) -> dict[str, str]:
    """The settings of files and store, as the environment variables that a runner reads them from."""
    return {
        "FRONTRUNNER_HOME": str(settings.home.resolve()),
        "FRONTRUNNER_STORE_URL": settings.store_url,
        "FRONTRUNNER_STORE_CACHE_BYTES": str(settings.store_cache_bytes),
    }


def credentials_of(settings: Settings) -> dict[str, str]:
    """The variables of this process that open hubs and its own store; those of any other store stay behind."""
    store = EXTRAS.get(settings.store_url.partition("://")[0])
    names = _HUB_CREDENTIALS if store is None else (*_HUB_CREDENTIALS, _STORE_CREDENTIALS[store])
    told = {name: value for name, value in os.environ.items() if name.startswith(names)}
    if settings.store_options is not None:
        told["FRONTRUNNER_STORE_OPTIONS"] = settings.store_options.get_secret_value()
    return told

"""A service in which something was done: a dataset with faults, rankings, a race, a tuning, and a job that waits."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.service.fleet import Fleet
from frontrunner.demo import write_digits

# Enough to see curves and intervals, and little enough for a minute on two cores.
EXAMPLES = 300
_WAIT_S = 1200.0


def fill(service: Fleet, folder: Path) -> dict[str, str]:
    """Do something of everything with a service that has a worker; the addresses of pages by their names."""
    digits = service.upload(_with_a_test_split(write_digits(folder / "digits.zip")))
    ranking = service.rank(digits, max_examples=EXAMPLES)
    race = service.rank(digits, max_examples=EXAMPLES, budget="40%", verify=0)
    service.wait(ranking, race, timeout_s=_WAIT_S)
    body = {
        "dataset": digits,
        "teachers": {"ranking": ranking, "top": 3},
        "method": "b_tuning",
        "epochs": 6,
        "max_examples": EXAMPLES,
        "image_size": 32,
        "onnx": False,
    }
    tuning = str(service.post("/v1/tunings", json=body).raise_for_status().json()["id"])
    service.wait(tuning, timeout_s=_WAIT_S)
    answer = service.get(f"/v1/rankings/{ranking}")
    assert answer is not None
    checkpoint = answer.json()["ranking"][0]["checkpoint"]
    shapes = service.upload(_with_faults(folder / "shapes.zip"))
    compared = {"datasets": [digits, shapes], "checkpoint": checkpoint, "max_examples": EXAMPLES}
    distances = str(service.post("/v1/task-distances", json=compared).raise_for_status().json()["id"])
    service.wait(distances, timeout_s=_WAIT_S)
    return {
        "new": "/",
        "dataset": f"/datasets/{digits}",
        "dataset-with-faults": f"/datasets/{shapes}",
        "texts": f"/datasets/{service.upload(_texts(folder / 'reviews.csv'))}",
        "datasets": "/datasets",
        "ranking": f"/rankings/{ranking}",
        "race": f"/rankings/{race}",
        "tuning": f"/tunings/{tuning}",
        "jobs": "/jobs",
        "jobs-none": "/jobs?status=failed",
        "hub": "/hub",
        "compare": f"/compare?a={ranking}&b={race}",
        "tasks": "/tasks",
        "distances": f"/tasks/{distances}",
        "history": "/history",
        "admin": "/admin",
        "audit": "/admin/audit",
        "not-found": "/nowhere",
    }


def _with_a_test_split(path: Path) -> Path:
    """The same archive with a fifth of its files below `test/`, the others below `train/`."""
    split = path.with_name("handwritten digits.zip")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(split, "w") as archive:
        for place, name in enumerate(sorted(whole.namelist())):
            where = "test" if place % 5 == 4 else "train"
            archive.writestr(zipfile.ZipInfo(f"{where}/{name}"), whole.read(name))
    return split


def _with_faults(path: Path) -> Path:
    """Shapes: one image that is cut off, copies, and a class that is almost empty."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for label, (name, count) in enumerate((("circle", 30), ("square", 24), ("Square", 6), ("star", 1))):
            for index in range(count):
                encoded = io.BytesIO()
                pixels = generator.normal(90 + 40 * label, 25, (48, 64, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(encoded, "JPEG")
                data = encoded.getvalue()
                archive.writestr(f"{name}/{index:03}.jpg", data[:400] if (name, index) == ("circle", 7) else data)
                if name == "square" and index < 2:
                    archive.writestr(f"{name}/{index:03} copy.jpg", data)
        archive.writestr("notes.txt", "taken on Tuesday")
    return path


def _texts(path: Path) -> Path:
    said = ("I would buy it again, and so would my mother.", "It broke on the second day.", "As described; came late.")
    rows = [f'"{said[index % 3]} ({index})",{("good", "bad", "mixed")[index % 3]}' for index in range(90)]
    path.write_text("review,label\n" + "\n".join(rows) + "\n")
    return path

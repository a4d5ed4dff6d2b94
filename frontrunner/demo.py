"""The demonstration's dataset: scikit-learn's handwritten digits, as an image zip."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from frontrunner.files import whole_file


def write_digits(path: Path) -> Path:
    """Write scikit-learn's 1,797 digits of 8 x 8 pixels to a zip of class folders; the same bytes every time."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            encoded = io.BytesIO()
            Image.fromarray((pixels * (255 / 16)).astype(np.uint8)).save(encoded, "PNG")
            archive.writestr(zipfile.ZipInfo(f"digit-{label}/{index:04d}.png"), encoded.getvalue())
    return path

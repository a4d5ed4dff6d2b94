"""Names of splits: which folders, files and values of a column mean training or testing, and what is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from frontrunner.errors import AmbiguousDataset

SplitName: TypeAlias = Literal["train", "test"]

TRAIN_WORDS = frozenset({"train", "training", "trn", "trainval"})
TEST_WORDS = frozenset({"test", "testing", "tst", "val", "valid", "validation", "dev", "eval", "evaluation"})
# What a hub's people write behind the word: `trainset`, `testdata`, `val2017`.
_ENDINGS = ("set", "data", "images", "imgs", "folder", "dir", "ds")
_FILLERS = frozenset({"seg", "my", "full", "new", "photos", "pictures", "image", "img", "samples", "split", "x"})
_UNLABELLED = frozenset({"unlabeled", "unlabelled", "unsup", "pred", "prediction"})
_FOLD = re.compile(r"((.+[ _.-])?(fold|cv|split|part|batch|partition|subset)|set)[ _.-]?\d+")


def split_of(name: str) -> SplitName | None:
    """What a folder's name, a file's stem or a cell says about the split.

    Example:
        >>> split_of("seg_train"), split_of("Validation"), split_of("val2017"), split_of("samples")
        ('train', 'test', 'test', None)
    """
    words = set()
    for word in re.findall(r"[a-z]+", name.lower()):
        ending = next((end for end in _ENDINGS if word.endswith(end) and word != end), "")
        words.add(word.removesuffix(ending))
    if words & _UNLABELLED:
        return None
    is_train, is_test = bool(words & TRAIN_WORDS), bool(words & TEST_WORDS)
    if is_train == is_test:
        return None
    return "train" if is_train else "test"


def is_only_split(name: str) -> bool:
    """Whether a name says a split and nothing else: `train_images`, and not `test tube`."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    return split_of(name) is not None and all(split_of(word) or word in _ENDINGS or word in _FILLERS for word in words)


def is_fold(name: str) -> bool:
    """Whether a name numbers the parts of a cross-validation or of a download: `fold_0`, `images_part_3`."""
    return _FOLD.fullmatch(name.lower()) is not None


@dataclass(frozen=True)
class SplitChoice:
    """What `--split` asks for.

    Attributes:
        column: the table's column that names the split.
        parts: split by the name of a folder, file or value.
        everything: no split: every example is for training.
    """

    column: str | None = None
    parts: dict[str, SplitName] = field(default_factory=dict)
    everything: bool = False

    @classmethod
    def parse(cls, text: str | None) -> SplitChoice:
        """The choice that an option's text spells.

        Raises:
            AmbiguousDataset: it is none of the four forms.

        Example:
            >>> SplitChoice.parse("fold:train=0,1;test=2")
            SplitChoice(column='fold', parts={'0': 'train', '1': 'train', '2': 'test'}, everything=False)
        """
        if text is None:
            return cls()
        if text.strip().lower() == "none":
            return cls(everything=True)
        if "=" not in text:
            return cls(column=text.strip())
        head, colon, rest = text.partition(":")
        column, mapping = (head.strip(), rest) if colon and "=" not in head else (None, text)
        parts: dict[str, SplitName] = {}
        for clause in mapping.split(";"):
            side, equals, names = clause.partition("=")
            split = split_of(side)
            if not equals or split is None:
                raise AmbiguousDataset(
                    f"the split '{text}' is not understood; expected a column, 'none', 'train=A,B;test=C' with "
                    "names of folders or files, or 'COLUMN:train=A;test=B' with values of a column"
                )
            parts |= {name.strip(): split for name in names.split(",") if name.strip()}
        return cls(column=column, parts=parts)

    def of(self, name: str) -> SplitName | None:
        """The split of a folder, file or value: as asked for, else as its name says."""
        return self.parts.get(name) if self.parts else split_of(name)

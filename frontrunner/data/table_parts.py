"""Tables that make up a dataset, side by side: which rows are for training, and which are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontrunner.data.dataset import DatasetOptions, Key, LeftOut
from frontrunner.data.image_names import parts_of
from frontrunner.data.splits import SplitChoice, SplitName, split_of
from frontrunner.data.tables.label_forms import Labels
from frontrunner.data.tables.roles import Roles
from frontrunner.data.tables.table import Table
from frontrunner.errors import AmbiguousDataset, UnreadableDataset

NO_SPLIT = "no split: every row is for training"
# Names that are listed in full; more are counted.
_NAMED = 6


@dataclass(frozen=True)
class TablePart:
    """A table, or one of several that make up a dataset.

    Attributes:
        table: its columns.
        name: its file.
        base: the folder of its file, which names of images are relative to.
        split: what its file's name says, or what was chosen for it.
        chosen: whether `--split` names its file or folder.
    """

    table: Table
    name: str
    base: str = "."
    split: SplitName | None = None
    chosen: bool = False

    @property
    def images_split(self) -> SplitName | None:
        """The split whose images are meant where several are called alike."""
        return self.split or split_of(PurePosixPath(self.name).stem)


def joined(parts: Sequence[TablePart], name: str) -> tuple[Table, NDArray[np.int64]]:
    """All rows below each other, and the number of the part that each comes from."""
    first = parts[0].table
    if any(part.table.typed != first.typed for part in parts):
        raise AmbiguousDataset(
            f"{name} holds tables of different formats: {', '.join(part.name for part in parts[:_NAMED])}; keep one"
        )
    _refuse_other_class_names(parts, name)
    try:
        rows = pa.concat_tables([_named_alike(part.table, first) for part in parts], promote_options="permissive")
    except pa.ArrowException as error:
        raise UnreadableDataset(
            f"the columns of {', '.join(part.name for part in parts[:_NAMED])} do not fit each other: {error}"
        ) from error
    part_of = np.repeat(np.arange(len(parts)), [part.table.rows.num_rows for part in parts])
    return Table(rows, first.format, first.typed, first.features, first.unusable), part_of


def _named_alike(table: Table, first: Table) -> pa.Table:
    """The rows of a table under the names of the first one's columns, where theirs differ only by case."""
    known, own = set(first.columns), set(table.columns)
    by_case = {column.lower(): column for column in first.columns}
    free = {column.lower() for column in own - known}
    is_clear = len(free) + len(known & own) == len(table.columns)
    names = [
        column
        if column in known or by_case.get(column.lower()) in own or not is_clear
        else by_case.get(column.lower(), column)
        for column in table.columns
    ]
    return table.rows.rename_columns(names)


def _refuse_other_class_names(parts: Sequence[TablePart], name: str) -> None:
    """One number may not mean two classes."""
    first = parts[0]
    for part in parts[1:]:
        for column in set(part.table.columns) & set(first.table.columns):
            names = part.table.class_names(column), first.table.class_names(column)
            if all(names) and names[0] != names[1]:
                raise UnreadableDataset(
                    f"{name}: '{column}' has other names of classes in {part.name} than in {first.name}"
                )


def refuse_halves(parts: Sequence[TablePart], roles: Roles, name: str) -> None:
    """Inputs in one training table and labels in another: which row belongs to which is for a person to say."""
    both = sorted(set(roles.inputs) & set(roles.labels))
    if both:
        raise UnreadableDataset(f"{name}: the column '{both[0]}' cannot be both the input and the label")
    needed = {*roles.inputs, *roles.labels}
    for part in parts:
        missing = sorted(needed - set(part.table.columns))
        if missing and len(parts) > 1 and part.split != "test" and part.table.rows.num_rows:
            whole = next((p.name for p in parts if needed <= set(p.table.columns)), "FILE")
            raise AmbiguousDataset(
                f"{name} has more than one training table, and {part.name} has no column '{missing[0]}'; join them "
                f"into one, or choose with --split 'train={whole}'"
            )


def splits_of_rows(
    table: Table,
    roles: Roles,
    parts: Sequence[TablePart],
    part_of: NDArray[np.int64],
    options: DatasetOptions,
    name: str,
) -> tuple[NDArray[np.str_], list[LeftOut], str]:
    """(n,) train, test or nothing; rows that are in neither; and a sentence on it."""
    choice = SplitChoice.parse(options.split)
    n = table.rows.num_rows
    if choice.everything:
        return np.full(n, "train"), [], "every row is for training, as asked for"
    if choice.parts:
        cells = table.rows[roles.split].unique().to_pylist() if roles.split else []
        unknown = sorted(set(choice.parts) - set(map(str, cells)))
        if unknown and (roles.split or not any(part.chosen for part in parts)):
            where = f"column '{roles.split}' holds {cells[:_NAMED]}" if roles.split else "there is no split column"
            raise UnreadableDataset(f"{name}: nothing is called '{unknown[0]}', which --split names: {where}")
    if roles.split is None:
        sides = np.array([part.split or "train" for part in parts])[part_of]
        if len(parts) == 1 and parts[0].split is None:
            return sides, [], NO_SPLIT
        said = [
            f"{side} from {list_of(p.name for p in parts if (p.split or 'train') == side)}"
            for side in ("train", "test")
        ]
        return sides, [], ", ".join(sentence for sentence in said if not sentence.endswith("from "))
    cells = ["" if cell is None else str(cell).strip() for cell in table.rows[roles.split].to_pylist()]
    meaning = {cell: choice.parts.get(cell, "") if choice.parts else (split_of(cell) or "") for cell in set(cells)}
    unknown = sorted(cell for cell, side in meaning.items() if not side)
    if unknown and not choice.parts:
        raise UnreadableDataset(
            f"{name}: column '{roles.split}' holds {unknown[:5]}; expected train, test or validation; choose with "
            f"--split '{roles.split}:train={unknown[0]};test=...' or --split none"
        )
    sides = np.array([meaning[cell] for cell in cells], dtype=np.str_)
    reason = f"{roles.split} is {list_of(unknown)}, which is neither training nor testing"
    count = int((sides == "").sum())
    left_out = [LeftOut(count=count, what=f"row{'s' if count > 1 else ''}", reason=reason)] if unknown else []
    return sides, left_out, f"splits from column '{roles.split}'"


def splits_of_paths(keys: Sequence[Key], split: NDArray[np.str_], said: str) -> tuple[NDArray[np.str_], str]:
    """The split that the folders of the images say, where those of all do and some are for training."""
    folders = [parts_of(str(key))[:-1] for key in keys]
    sides = [next((side for folder in path if (side := split_of(folder))), "") for path in folders]
    if not all(sides) or set(sides) != {"train", "test"}:
        return split, said
    return np.array(sides, dtype=np.str_), "train and test from the folders of the images"


def incomplete(
    labels: Labels,
    split: NDArray[np.str_],
    usable: NDArray[np.bool_],
    part_of: NDArray[np.int64],
    parts: Sequence[TablePart],
) -> list[LeftOut]:
    """Rows that lack a label or an input, by the table that they are in."""
    found = []
    for number, part in enumerate(parts):
        mine = (part_of == number) & (split != "")
        where = f" of {part.name}" if len(parts) > 1 else ""
        for lacking, reason in (
            (mine & ~labels.present, "no label"),
            (mine & labels.present & ~usable, "no input"),
        ):
            if lacking.any():
                count = int(lacking.sum())
                found.append(LeftOut(count=count, what=f"row{'s' if count > 1 else ''}{where}", reason=reason))
    return found


def list_of(names: Iterable[str]) -> str:
    """The first names in full, and how many more there are."""
    named = list(names)
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more

"""What looks wrong about a dataset, though it can be ranked on: said, and left to the person who knows the data."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from frontrunner.data.splits import split_of

# Below this many examples intervals are wide whatever the data are like.
FEW_EXAMPLES = 50
# From this many classes on it is worth a word that most of them have one example.
_MANY_CLASSES = 10
_NAMED = 3


def suspicions(classes: Sequence[tuple[str, int]]) -> list[str]:
    """Sentences on classes that look like mistakes.

    Args:
        classes: names, each with how many training examples it has.

    Example:
        >>> suspicions([("cat", 5), ("Cat ", 4), ("dog", 6)])
        ["the classes 'cat' and 'Cat ' differ only by case or blanks"]
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name, _ in classes:
        alike[re.sub(r"\s+", " ", name.strip().casefold())].append(name)
    said = [
        f"the classes {' and '.join(map(repr, names))} differ only by case or blanks"
        for names in [names for names in alike.values() if len(names) > 1][:_NAMED]
    ]
    trained = [(name, count) for name, count in classes if count]
    n = sum(count for _, count in trained)
    if len(trained) >= _MANY_CLASSES and 2 * len(trained) > n:
        said.append(f"{len(trained)} classes in {n} training examples: is this really the label?")
    splits = [name for name, _ in classes if split_of(name)]
    if splits and len(splits) == len(classes):
        said.append(f"the classes are called like splits: {', '.join(splits[:_NAMED])}")
    return said

"""The order in which examples are read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frontrunner.data import Split, stratified_order

labels = st.lists(st.integers(0, 5), min_size=1, max_size=200)


def split_of(codes: list[int]) -> Split:
    return Split(tuple(range(len(codes))), labels=np.array(codes, dtype=np.int64))


@given(labels, st.integers(0, 2**32 - 1))
def test_the_order_is_a_permutation_that_the_seed_decides(codes, seed):
    order = stratified_order(split_of(codes), seed)
    assert sorted(order) == list(range(len(codes)))
    assert (order == stratified_order(split_of(codes), seed)).all()


@given(labels, st.integers(0, 10), st.integers(1, 200))
def test_every_prefix_holds_the_classes_in_proportion(codes, seed, size):
    order = stratified_order(split_of(codes), seed)[:size]
    counts = np.bincount(codes, minlength=6)
    taken = np.bincount(np.array(codes)[order], minlength=6)
    share = taken / np.maximum(counts, 1)
    # Two classes never differ by more than one example's worth of their own size.
    for a in np.flatnonzero(counts):
        for b in np.flatnonzero(counts):
            assert share[a] - share[b] <= 1 / counts[a] + 1e-12


def test_a_prefix_as_long_as_there_are_classes_holds_each_once():
    codes = [0] * 500 + [1] * 20 + [2]
    assert sorted(np.array(codes)[stratified_order(split_of(codes), 3)[:3]]) == [0, 1, 2]

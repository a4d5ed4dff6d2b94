"""LAPACK's symmetric reductions, on one thread.

Half of a tridiagonal reduction is matrix-vector products, one small parallel region per column. On a shared machine
every such region waits for the slower thread: 2,048 features took 5 to 13 s on two busy cores and 1.4 s on one of them.
A ranking worker shares its machine, so one thread is the safer choice.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
from scipy.linalg import eigh, lapack
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from frontrunner.errors import InvalidFeatures
from frontrunner.statistics import Floats

# Setting the limit takes 2 ms; below this size the whole reduction takes less.
_ONE_THREAD_FROM = 256


def _one_thread(size: int) -> AbstractContextManager[object]:
    if size < _ONE_THREAD_FROM:
        return nullcontext()
    limit: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limit


def eigen(lower: Floats) -> tuple[Floats, Floats]:
    """Ascending eigenvalues (D,) and eigenvectors (D, D), in columns, of a matrix given by its lower triangle."""
    # This driver finds small eigenvalues beside a large one in the first place to their own digits; "evd" does not.
    with _one_thread(lower.shape[0]):
        values, vectors = eigh(lower, lower=True, check_finite=False, driver="evr")
    return values, vectors


def tridiagonalise(lower: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Householder's reduction of a (D, D) matrix given by its lower triangle, Fortran order; written over.

    Returns:
        diagonal (D,), off-diagonal (D - 1,), LAPACK's reflectors (D - 1, D - 1) and their scales (D - 1,), and the
        ascending eigenvalues (D,).

    Raises:
        InvalidFeatures: the eigenvalues do not converge.
    """
    size = lower.shape[0]
    work = int(lapack.dsytrd_lwork(size, lower=1)[0])
    with _one_thread(size):
        packed, diagonal, off_diagonal, scales, _ = lapack.dsytrd(lower, lower=1, lwork=work, overwrite_a=1)
    reflectors = np.asfortranarray(packed[1:, :-1])
    if size == 1:
        return diagonal, np.zeros(1), reflectors, scales, diagonal.copy()  # LAPACK's wrappers take no empty array
    values, info = lapack.dsterf(diagonal, off_diagonal)
    if info != 0:
        raise InvalidFeatures("the eigenvalues of the features' second moments cannot be found")
    return diagonal, off_diagonal, reflectors, scales, values

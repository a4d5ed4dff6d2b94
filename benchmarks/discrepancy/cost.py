"""What the discrepancy costs: python -m benchmarks.discrepancy.cost [head | large | subspace]

`head`: its share of the time that scoring takes. `large`: the Lyapunov equation and the comparison at d = 4096.
`subspace`: 256 examples, d = 256, on a checkpoint of five million parameters, with the peak of the process's memory.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.discrepancy.pack import Backbone, checkpoint, features, images
from frontrunner.discrepancy import (
    SGDNoise,
    compare,
    head_discrepancy,
    intrinsic_dimension,
    stationary_covariance,
    subspace_discrepancy,
)
from frontrunner.discrepancy.subspace import ClassifierHead, GaussianHead, measure_curvature
from frontrunner.scores.logme import maximise_evidence, moments_of
from frontrunner.scores.spectrum import decompose
from frontrunner.statistics import FeatureStatistics

LARGE_CHECKPOINT = "efficientnet_lite0.in1k"


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The median time of a call."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def head() -> None:
    """One line for each size: LogME from statistics, then the discrepancy from LogME's numbers."""
    print("| n | D | C | statistics s | LogME s | head s | share of both |")
    print("|---|---|---|---|---|---|---|")
    generator = np.random.default_rng(0)
    for n, dimension, classes in ((2000, 1280, 10), (5000, 2048, 100), (500, 1280, 10)):
        matrix, labels = generator.normal(size=(n, dimension)).astype(np.float32), np.arange(n) % classes
        statistics = FeatureStatistics().update(matrix, labels=labels)
        spectrum = decompose(moments_of(statistics))
        evidence = maximise_evidence(spectrum)
        folding = seconds(lambda m=matrix, y=labels: FeatureStatistics().update(m, labels=y), 3)
        scoring = seconds(lambda s=statistics: maximise_evidence(decompose(moments_of(s))), 3)
        extra = seconds(lambda s=statistics, p=spectrum, e=evidence: head_discrepancy(s, spectrum=p, evidence=e))
        share = extra / (folding + scoring)
        print(f"| {n} | {dimension} | {classes} | {folding:.3f} | {scoring:.3f} | {extra:.5f} | {share:.2%} |")
    matrix = generator.normal(size=(2000, 1280))
    print(f"intrinsic dimension of 2000 x 1280: {seconds(lambda: intrinsic_dimension(matrix), 1):.1f} s")


def large(d: int = 4096) -> None:
    """Full matrices of condition 5e8, whose answers are known: S = eta/2B I where C = A, and a KL of 0 with itself."""
    generator = np.random.default_rng(0)
    basis, _ = np.linalg.qr(generator.normal(size=(d, d)))
    hessian = (basis * np.exp(generator.uniform(-20, 0, d))) @ basis.T
    hessian = (hessian + hessian.T) / 2
    start = time.perf_counter()
    covariance = stationary_covariance(hessian, hessian, learning_rate=0.1, batch_size=32)
    middle = time.perf_counter()
    terms = compare(hessian, hessian, np.zeros(d))
    print(f"d = {d}: Lyapunov {middle - start:.1f} s, comparison {time.perf_counter() - middle:.1f} s")
    error = np.abs(covariance / (0.1 / 64) - np.eye(d)).max()
    print(f"largest error of S {error:.1e}; tr M / d - 1 = {terms.trace / d - 1:.1e}, twice KL {terms.twice_kl:.1e}")


def subspace(examples: int = 256) -> None:
    """Source and target side in one pass over flowers5."""
    model = checkpoint(LARGE_CHECKPOINT)
    matrix, codes = features("flowers5", 400, LARGE_CHECKPOINT)
    statistics = FeatureStatistics().update(matrix, labels=codes)
    spectrum = decompose(moments_of(statistics))
    evidence = maximise_evidence(spectrum)
    target = GaussianHead(spectrum.posterior_mean(evidence.alpha / evidence.beta), evidence.beta)
    tensors, labels, _ = images("flowers5", 400, model)
    drawn = np.random.default_rng(1).permutation(len(tensors))[:examples]
    batch = (torch.stack([tensors[i] for i in drawn]), torch.as_tensor(labels[drawn]))
    start = time.perf_counter()
    origin, goal = measure_curvature(
        Backbone(model), [batch], source=ClassifierHead(model.get_classifier()), target=target
    )
    measured = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert origin is not None
    assert goal is not None
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    print(
        f"{parameters:.1f}M parameters, {examples} examples, d = {goal.dimension}: {measured:.0f} s; "
        f"process {peak:.0f} MiB"
    )
    for noise in ("empirical", "isotropic", "fisher"):
        start = time.perf_counter()
        found = subspace_discrepancy(origin, goal, noise=SGDNoise(noise), n=statistics.n)
        print(f"{noise} ({time.perf_counter() - start:.2f} s): {found.as_dict()}")


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    chosen = sys.argv[1:] or ["head", "large", "subspace"]
    for name in chosen:
        {"head": head, "large": large, "subspace": subspace}[name]()
    print(f"load {os.getloadavg()[0]:.1f}")

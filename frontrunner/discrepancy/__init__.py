"""Distances between a checkpoint before and after fine-tuning on a dataset, distances between tasks, and bounds.

docs/theory.md says what each number means and when to trust it. Nothing here loads torch, except for
`discrepancy.subspace`, which measures the curvature of a network and has to be imported by name.
"""

from frontrunner.discrepancy.bounds import Gap, GapKind, pac_bayes_gap, vc_gap
from frontrunner.discrepancy.covariance import Covariance, LowRankPlusDiagonal
from frontrunner.discrepancy.curvature import Curvature, subspace_discrepancy, tuned_discrepancy
from frontrunner.discrepancy.dimension import intrinsic_dimension
from frontrunner.discrepancy.gaussians import (
    GaussianTerms,
    amgm_upper_bound,
    compare,
    dimension_dependent_discrepancy,
    domain_discrepancy,
    pretraining_discrepancy,
    stationary_covariance,
    twice_kl,
)
from frontrunner.discrepancy.generalisation import GeneralisationReport, Terminal, generalisation_report
from frontrunner.discrepancy.gibbs import gibbs_complexity
from frontrunner.discrepancy.head import head_discrepancy
from frontrunner.discrepancy.rademacher import (
    HeadMargins,
    MarginRisk,
    empirical_rademacher_complexity,
    empirical_rademacher_gap,
    linear_head_rademacher_bound,
    margin_gap,
    margin_risk_bound,
    rademacher_gap,
)
from frontrunner.discrepancy.reachability import (
    KramersModel,
    effective_potential,
    fit_kramers,
    transition_probability,
)
from frontrunner.discrepancy.report import VERSION, DiscrepancyReport, NoiseModel, Reference, SGDNoise, Space
from frontrunner.discrepancy.risk import RiskBound, leave_one_out_risk, risk_bound
from frontrunner.discrepancy.sde import (
    StepMoments,
    anisotropic_trajectory_bound,
    bootstrap_step,
    terminal_state_bound,
    trajectory_bound,
)
from frontrunner.discrepancy.tasks import (
    TaskDistances,
    complexity,
    head_complexity,
    task_distance,
    task_distances,
    task_union,
    unit_prior_scale,
)

__all__ = [
    "VERSION",
    "Covariance",
    "Curvature",
    "DiscrepancyReport",
    "Gap",
    "GapKind",
    "GaussianTerms",
    "GeneralisationReport",
    "HeadMargins",
    "KramersModel",
    "LowRankPlusDiagonal",
    "MarginRisk",
    "NoiseModel",
    "Reference",
    "RiskBound",
    "SGDNoise",
    "Space",
    "StepMoments",
    "TaskDistances",
    "Terminal",
    "amgm_upper_bound",
    "anisotropic_trajectory_bound",
    "bootstrap_step",
    "compare",
    "complexity",
    "dimension_dependent_discrepancy",
    "domain_discrepancy",
    "effective_potential",
    "empirical_rademacher_complexity",
    "empirical_rademacher_gap",
    "fit_kramers",
    "generalisation_report",
    "gibbs_complexity",
    "head_complexity",
    "head_discrepancy",
    "intrinsic_dimension",
    "leave_one_out_risk",
    "linear_head_rademacher_bound",
    "margin_gap",
    "margin_risk_bound",
    "pac_bayes_gap",
    "pretraining_discrepancy",
    "rademacher_gap",
    "risk_bound",
    "stationary_covariance",
    "subspace_discrepancy",
    "task_distance",
    "task_distances",
    "task_union",
    "terminal_state_bound",
    "trajectory_bound",
    "transition_probability",
    "tuned_discrepancy",
    "twice_kl",
    "unit_prior_scale",
    "vc_gap",
]

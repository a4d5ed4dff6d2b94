"""What can go wrong between matrices and a discrepancy, as classes with stable codes."""

from __future__ import annotations

from frontrunner.errors import FrontrunnerError


class InvalidDiscrepancyInput(FrontrunnerError):
    """Shapes that do not fit together, values that are not finite, or a parameter outside its range."""

    code = "invalid_discrepancy_input"


class NotPositiveSemidefinite(InvalidDiscrepancyInput):
    """A covariance or curvature with a clearly negative eigenvalue, or one that is not symmetric."""

    code = "not_positive_semidefinite"


class SingularCovariance(InvalidDiscrepancyInput):
    """A reference covariance without an inverse: a move along a direction without spread is infinitely far."""

    code = "singular_covariance"


class NoStationaryDistribution(InvalidDiscrepancyInput):
    """A Hessian with a flat or descending direction, along which SGD's noise is never pulled back."""

    code = "no_stationary_distribution"


class BoundUndefined(InvalidDiscrepancyInput):
    """A published bound that would take the root of a negative number and so says nothing."""

    code = "bound_undefined"


class SubspaceTooLarge(InvalidDiscrepancyInput):
    """A subspace of more dimensions than the checkpoint has parameters."""

    code = "subspace_too_large"


class TooFewPoints(InvalidDiscrepancyInput):
    """Fewer distinct points or measured runs than the estimate needs."""

    code = "too_few_points"

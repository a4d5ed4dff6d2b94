"""A ranking in stages, for a budget: a shortlist, a race over growing samples, and what came of it."""

from frontrunner.ranking.budget import Budget
from frontrunner.ranking.stages.race import Expectation, Race, Reading, Standing
from frontrunner.ranking.stages.report import BudgetReport, Departure, StageReport

__all__ = ["Budget", "BudgetReport", "Departure", "Expectation", "Race", "Reading", "StageReport", "Standing"]

"""A ranking in stages: a shortlist, a race over growing samples, short adaptations, and what came of them."""

from frontrunner.ranking.budget import Budget
from frontrunner.ranking.stages.belief import Leader
from frontrunner.ranking.stages.chances import Expectation, Expectations, ScoreReading
from frontrunner.ranking.stages.race import Race, Reading, Standing
from frontrunner.ranking.stages.report import BudgetReport, Departure, StageReport, VerificationReport
from frontrunner.ranking.stages.verification import Trial, VerificationStanding, VerificationTerms, verify

__all__ = [
    "Budget",
    "BudgetReport",
    "Departure",
    "Expectation",
    "Expectations",
    "Leader",
    "Race",
    "Reading",
    "ScoreReading",
    "StageReport",
    "Standing",
    "Trial",
    "VerificationReport",
    "VerificationStanding",
    "VerificationTerms",
    "verify",
]

"""A ranking as people and programs read it: the same from the command line, the library and the API."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from frontrunner.data.dataset import Modality, Task
from frontrunner.files import whole_file
from frontrunner.hub import ReadingCost, ReadingProvenance, SkippedCheckpoint
from frontrunner.ranking.picture import Picture
from frontrunner.ranking.prediction import Adaptation, Behind, Prediction
from frontrunner.ranking.request import DiscrepancyOutput, Refusal
from frontrunner.ranking.stages.report import BudgetReport, VerificationReport
from frontrunner.scores import ScoreValue
from frontrunner.status import JobResult
from frontrunner.tuning.result import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


class RankedDataset(BaseModel):
    """The dataset that was ranked on."""

    id: str
    name: str
    digest: str
    modality: Modality
    task: Task
    classes: int = Field(description="Classes (or labels, or targets) of the dataset.")
    train_examples: int
    train_sentences: int = Field(
        default=0,
        exclude_if=lambda sentences: not sentences,
        description="Sentences of the training examples, where these are words; left out where they are not.",
    )
    unreadable: int = Field(description="Inputs left out because they cannot be read.")
    read_as: str = Field(default="", description="What was read as what, on one line.")
    warnings: list[str] = Field(default=[], description="What its check found suspicious, and what was left out.")


class Verified(BaseModel):
    """What a checkpoint reached when it was really adapted for a short while."""

    measured: Interval = Field(
        description="Share of the held-out examples that is right, with Wilson's interval at 95%."
    )
    accuracy: float = Field(description="What is believed of it: measured and predicted together, by their errors.")
    low: float = Field(description="Lower end of a 90% interval about it: another run would end elsewhere too.")
    high: float = Field(description="Upper end.")
    held_out: int = Field(description="Examples of the training split that it was measured on, and not trained on.")
    train_examples: int
    epochs: int
    learning_rate: float


class RankedCheckpoint(BaseModel):
    """One line of a ranking."""

    rank: int
    checkpoint: str
    scores: dict[str, ScoreValue] = Field(
        description="Those asked for, LogME, the discrepancy, and the baselines kNN and linear or ridge probe."
    )
    not_applicable: dict[str, Refusal] = Field(default={}, description="Why a score asked for could not be computed.")
    ranks: dict[str, int] = Field(
        default={}, description="The place under each score asked for, and under the discrepancy."
    )
    tied_with_best: bool = Field(
        default=False,
        description="The examples cannot tell it apart from the first one: their paired difference is not significant "
        "at 5%, allowing for the first one having been picked among all.",
    )
    beats_next: float | None = Field(
        default=None,
        description="Probability that it scores higher than the next line, over draws of the examples, for these two "
        "alone; `tied_with_best` allows for having picked the first.",
    )
    probability_best: float | None = Field(
        default=None,
        description="Probability that no other line is better: that none reaches more once adapted, where accuracy is "
        "predicted, else that none scores higher over draws of the examples. None where neither is known.",
    )
    prediction: Prediction | None = Field(
        default=None,
        description="What it is predicted to reach once it is adapted; None where there is no evidence for it.",
    )
    behind: Behind | None = Field(
        default=None,
        exclude_if=lambda behind: behind is None,
        description="How far it is predicted to stay behind the first line once both are adapted; left out of the "
        "first line, and where nothing is predicted.",
    )
    verified: Verified | None = Field(
        default=None,
        exclude_if=lambda verified: verified is None,
        description="What it reached when it was adapted for a short while, where it was one of the few.",
    )
    discrepancy: DiscrepancyOutput | None = None
    intrinsic_dimension: float | None = Field(
        default=None, description="Of the cloud of features: coordinates that they really use nearby."
    )
    picture: Picture | None = Field(
        default=None,
        exclude_if=lambda picture: picture is None,
        description="Its features in two dimensions and the classes that they confuse; of the first five lines alone.",
    )
    parameters: int
    reading_cost: ReadingCost | None = Field(
        default=None, description="Latency and memory of a forward pass, as last measured; None where nobody has."
    )
    reading: ReadingProvenance = Field(
        default=ReadingProvenance(), description="What to know of its features besides its files, and its self-test."
    )
    seconds: float
    architecture: str
    feature_dimension: int
    examples: int
    forward_examples: int
    pareto_optimal: bool = Field(description="No other checkpoint has fewer parameters and a better first score.")
    license: str | None


class PairedComparisons(BaseModel):
    """How sure it is of every two checkpoints which one scores higher, over draws of the examples.

    Each number is for two checkpoints that were named beforehand. Whoever looks for the best among many finds one that
    is better by chance; `tied_with_best` allows for it.
    """

    score: str = Field(description="That orders the ranking.")
    checkpoints: list[str] = Field(description="Those that read as many examples as the first, best first; 50 at most.")
    probability: list[list[float | None]] = Field(
        description="That the checkpoint of the row scores higher than that of the column, by replicates over the same "
        "examples; null on the diagonal, and where a score has none."
    )

    def to_pandas(self) -> DataFrame:
        """A square data frame, rows and columns called after the checkpoints; NaN where nothing is known.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        from pandas import DataFrame

        return DataFrame(self.probability, index=self.checkpoints, columns=self.checkpoints, dtype=float)


class Provenance(BaseModel):
    """What it takes to get the same numbers again."""

    frontrunner: str
    extractor: int
    scores: tuple[str, ...] = Field(default=(), description="What was asked for, first the default order.")
    score_versions: dict[str, int] = Field(description="Everything that was computed.")
    ordered_by: str
    adaptation: Adaptation = Field(default="full", description="For which accuracy is predicted.")
    variant: str | None = Field(
        default=None, exclude_if=lambda variant: variant is None, description="How every checkpoint was read."
    )
    baselines: bool = Field(default=True, description="Whether the baselines were asked for.")
    verify: int | None = Field(default=None, description="As it was asked for.")
    split: Literal["train"]
    sampling: Literal["stratified", "random", "sentences"]
    seed: int
    max_examples: int
    libraries: dict[str, str]


class ExpectedPlace(BaseModel):
    """What is expected of one checkpoint once it is fine-tuned."""

    checkpoint: str
    expected: float = Field(description="Normal score of its result: 0 is the middle, 1.28 the best tenth.")
    deviation: float = Field(description="Standard deviation of the result about it.")
    probability_best: float = Field(description="That no other checkpoint of the ranking comes out better.")
    past_results: int = Field(description="Datasets of the history on which it was tried; 0 rests on its facts alone.")


class Outlook(BaseModel):
    """The checkpoints of a ranking by what history and measured scores expect of them, best first."""

    places: list[ExpectedPlace]
    scores: tuple[str, ...] = Field(description="The measured scores that count.")
    learned_from: int = Field(
        description="Datasets of the history that say how these scores read results; 0: taken to correlate by 0.5."
    )
    summary: str


class Ranking(JobResult):
    """A ranking; partial while `status` is queued or running."""

    dataset: RankedDataset
    ranking: list[RankedCheckpoint]
    skipped: list[SkippedCheckpoint]
    summary: str = Field(description="The answer in a sentence or two.")
    provenance: Provenance
    paired: PairedComparisons | None = Field(
        default=None,
        exclude_if=lambda paired: paired is None,
        description="Every two checkpoints compared; left out while there are not two.",
    )
    outlook: Outlook | None = Field(
        default=None,
        exclude_if=lambda outlook: outlook is None,
        description="What past results and the scores expect together, where a history was given.",
    )
    budget: BudgetReport | None = Field(
        default=None,
        exclude_if=lambda budget: budget is None,
        description="How the budget was spent, where one was given: who left when and why, and who is to be taken.",
    )
    verification: VerificationReport | None = Field(
        default=None,
        exclude_if=lambda verification: verification is None,
        description="How the few that may be the best were adapted for a short while, where that was asked for.",
    )

    @property
    def best(self) -> RankedCheckpoint | None:
        """The first line; of a budget, the pick's. None while nothing is ranked."""
        pick = self.budget.pick if self.budget is not None else None
        return next((line for line in self.ranking if pick in (None, line.checkpoint)), None)

    def __repr__(self) -> str:
        """What it is of: all of it would fill screens."""
        first = f", first {self.ranking[0].checkpoint}" if self.ranking else ""
        return f"<Ranking of {self.dataset.name}, {self.status.value}: {len(self.ranking)} checkpoints{first}>"

    def explain(self, width: int = 100) -> str:
        """What the command line prints: the table, what was left out and why, and the answer in a sentence.

        Args:
            width: columns of the text.
        """
        from frontrunner.display import show_ranking
        from frontrunner.terminal import Terminal

        text = io.StringIO()
        show_ranking(self, Terminal(file=text, width=width, force_jupyter=False, force_terminal=False))
        return text.getvalue()

    def rows(self) -> list[dict[str, Any]]:
        """The lines as flat rows, best first: of each score NAME there are `NAME`, `NAME_low` and `NAME_high`."""
        from frontrunner.ranking.rows import ranking_rows

        return ranking_rows(self)

    def to_pandas(self) -> DataFrame:
        """`rows` as a data frame.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        from pandas import DataFrame

        return DataFrame(self.rows())

    def plot(self, ax: Axes | None = None) -> Axes:
        """The score that orders the ranking with its intervals, best on top, drawn by matplotlib.

        Args:
            ax: where to draw; axes of a new figure by default.

        Raises:
            ModuleNotFoundError: matplotlib is not installed; `pip install 'frontrunner[plot]'`.
        """
        from frontrunner.ranking.views import plot

        return plot(self, ax)

    def to_html(self, file: Path) -> None:
        """Write the ranking as one HTML file that opens without a server or a network: answer, charts, table.

        Args:
            file: where to; whole or as it was before.

        Example:
            >>> ranking.to_html(Path("ranking.html"))  # doctest: +SKIP
        """
        from frontrunner.report import ranking_html

        with whole_file(file) as opened:
            opened.write(ranking_html(self).encode())

    def _repr_html_(self) -> str:
        from frontrunner.ranking.views import notebook_html

        return notebook_html(self)

"""`/rankings/{id}`: who leads and how surely, while it is found out and afterwards; and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from api.datasets.service import get_dataset
from api.jobs.conditional import show_result
from api.jobs.submission import Submission
from api.pages.asking import Fields, fields_of, problems_of
from api.pages.lines import home_page_of, table_of
from api.pages.rendering import go, page
from api.pages.snippets import Snippets, ranking_snippets
from api.pages.standing import Standing, standing_of
from api.pages.visits import ReadVisit, TuneVisit, Visit, WriteVisit
from api.problems import status_of
from api.rankings.service import extension_job
from api.state import State
from api.tunings.service import payload_of_tuning
from frontrunner.display import stage_sentence
from frontrunner.errors import FrontrunnerError
from frontrunner.hub.describing.listing import CatalogueFilter
from frontrunner.ranking import Ranking
from frontrunner.ranking.answer import may_equal_first
from frontrunner.ranking.rows import ranking_csv, ranking_parquet
from frontrunner.ranking.stages import StageReport
from frontrunner.report import ranking_data, ranking_html
from frontrunner.tuning import BestOfRanking, TuningRequest
from frontrunner.tuning.options import METHODS
from jobs import lifecycle
from jobs.catalogue import search_catalogue
from jobs.kinds.ranking import KIND, RankingJob
from jobs.kinds.tuning import tuning_job
from jobs.records import report_of
from models import JobRow

router = APIRouter(prefix="/rankings", include_in_schema=False)

Form = Literal["json", "csv", "parquet", "html"]
_MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "html": "text/html; charset=utf-8",
}
# Checkpoints that a field offers as one types.
_OFFERED = 300


class TuningUnclear(FrontrunnerError):
    """A value of the form is none that a tuning takes."""

    code = "tuning_unclear"


@dataclass(frozen=True)
class _Look:
    """What is looked at: which lines of the table, and in which order."""

    sort: str
    wanted: str
    page: int

    def table(self, ranking: Ranking) -> Any:
        return table_of(ranking, sort=self.sort, wanted=self.wanted, page=self.page)


Sort = Annotated[str, Query(max_length=100)]
Wanted = Annotated[str, Query(alias="q", max_length=200)]
Number = Annotated[int, Query(alias="page", ge=1, le=100_000)]


@router.get("/{ranking_id}")
def show_ranking(
    ranking_id: str, visit: ReadVisit, sort: Sort = "rank", wanted: Wanted = "", number: Number = 1
) -> Response:
    """The whole page."""
    return _ranking(visit, ranking_id, _Look(sort, wanted, number))


@router.get("/{ranking_id}/live")
def show_live(
    ranking_id: str, visit: ReadVisit, sort: Sort = "rank", wanted: Wanted = "", number: Number = 1
) -> Response:
    """The part that changes while the ranking runs."""
    look = _Look(sort, wanted, number)
    with visit.state.database.read_transaction() as session:
        job = lifecycle.find_job(session, ranking_id, KIND)
        standing, ranking = standing_of(session, job), _result(visit.state, session, job)
        known = _others(session, ranking) if standing.is_over else []
    return page(visit, "_ranking_part.html", known=known, **_live(standing, ranking, look))


@router.get("/{ranking_id}/files/ranking.{form}")
def download(ranking_id: str, form: Form, visit: ReadVisit) -> Response:
    """The ranking as a file: as the API gives it, as a table, or as a page that needs no server."""
    with visit.state.database.read_transaction() as session:
        job = lifecycle.find_job(session, ranking_id, KIND)
        ranking = _result(visit.state, session, job)
        body = show_result(visit.state, session, job) if form == "json" else _written(ranking, form)
    headers = {"Content-Disposition": f'attachment; filename="{ranking_id}.{form}"'}
    return Response(body, headers=headers, media_type=_MEDIA[form])


@router.post("/{ranking_id}/extend", operation_id="extendRanking")
def extend(ranking_id: str, visit: WriteVisit) -> Response:
    """Rank further checkpoints together with these."""
    names = [name for name in visit.said("checkpoints").replace(",", " ").split() if name]
    try:
        job = Submission(visit.state, None, 5).submit(extension_job(visit.state, ranking_id, names))
    except FrontrunnerError as refusal:
        return _ranking(visit, ranking_id, _Look("rank", "", 1), refusal)
    return go(f"/rankings/{job.id}")


@router.post("/{ranking_id}/tune", operation_id="createTuning")
def tune(ranking_id: str, visit: TuneVisit) -> Response:
    """Tune the best of it."""
    state = visit.state
    with state.database.read_transaction() as session:
        dataset_id = lifecycle.find_job(session, ranking_id, KIND).dataset_id or ""
    try:
        dataset = get_dataset(state, dataset_id)
        request = TuningRequest.model_validate({"method": visit.said("method") or "finetune"} | _terms(visit))
        best = BestOfRanking.model_validate({"ranking": ranking_id, "top": visit.said("top") or 1})
        payload = payload_of_tuning(state, dataset, request, best, None)
        examples = report_of(dataset).train_examples
        new = tuning_job(payload, dataset.id, examples, state.settings.forward_queue)
        job = Submission(state).submit(new)
    except ValidationError as invalid:
        said = "; ".join(f"{name}: {problem}" for name, problem in problems_of(invalid).items())
        return _ranking(visit, ranking_id, _Look("rank", "", 1), TuningUnclear(said))
    except FrontrunnerError as refusal:
        return _ranking(visit, ranking_id, _Look("rank", "", 1), refusal)
    return go(f"/tunings/{job.id}")


def _terms(visit: Visit) -> dict[str, Any]:
    """What the form says of a tuning besides its method."""
    return {name: value for name in ("epochs", "budget_s") if (value := visit.said(name))}


def _ranking(visit: Visit, ranking_id: str, look: _Look, refusal: FrontrunnerError | None = None) -> Response:
    state = visit.state
    with state.database.read_transaction() as session:
        job = lifecycle.find_job(session, ranking_id, KIND)
        standing, ranking = standing_of(session, job), _result(state, session, job)
        known = _others(session, ranking) if standing.is_over else []
        asked: RankingJob = KIND.request.model_validate_json(job.request)
    return page(
        visit,
        "ranking.html",
        status=200 if refusal is None else status_of(refusal),
        refusal=refusal,
        planned=len(asked.candidates),
        known=known,
        snippets=_snippets(visit, ranking, asked),
        **_live(standing, ranking, look, visit.form),
    )


def _live(standing: Standing, ranking: Ranking, look: _Look, filled: FormData | None = None) -> dict[str, Any]:
    """What changes while it runs."""
    return {
        "methods": [name for name, method in METHODS.items() if _suits(method, ranking)],
        "filled": Fields() if filled is None else fields_of(filled),
        "standing": standing,
        "job": standing.job,
        "ranking": ranking,
        "table": look.table(ranking),
        "is_equal": may_equal_first,
        "has_equals": any(map(may_equal_first, ranking.ranking)),
        "home_page": home_page_of,
        "stages": [(stage, stage_sentence(stage)) for stage in _stages(ranking)],
        "data": ranking_data(ranking),
    }


def _others(session: Session, ranking: Ranking) -> list[str]:
    """Checkpoints of the catalogue that read such data and are not in the ranking: what it may be extended by."""
    if ranking.dataset.modality == "features":
        return []
    wanted = CatalogueFilter(modality=ranking.dataset.modality, origin="hubs")
    ranked = {line.checkpoint for line in ranking.ranking}
    return [row.id for row in search_catalogue(session, wanted, limit=_OFFERED) if row.id not in ranked]


def _stages(ranking: Ranking) -> list[StageReport]:
    raced = [] if ranking.budget is None else ranking.budget.stages
    return raced if ranking.verification is None else [*raced, *ranking.verification.stages]


def _snippets(visit: Visit, ranking: Ranking, asked: RankingJob) -> Snippets:
    url = str(visit.request.base_url).rstrip("/")
    return ranking_snippets(url, ranking, asked.request, has_keys=visit.is_signed_in)


def _suits(method: Any, ranking: Ranking) -> bool:
    data = ranking.dataset
    return data.task == "classification" and data.modality in method.modalities and not method.needs_source


def _result(state: State, session: Session, job: JobRow) -> Ranking:
    return Ranking.model_validate_json(show_result(state, session, job))


def _written(ranking: Ranking, form: Form) -> bytes:
    if form == "html":
        return ranking_html(ranking).encode()
    if form == "csv":
        return ranking_csv(ranking)
    return ranking_parquet(ranking)

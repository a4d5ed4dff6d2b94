"""The life of jobs and steps: every change of status, each a compare-and-set inside one transaction.

Invariants: a step is written only by the holder of its lease; `jobs.steps_left` equals the number of steps that are
not terminal; the transaction that ends a step asks the job's planner for the next ones, or writes the result, the last
event and the webhooks' messages. A change that comes too late changes nothing and says so.

Every transaction that changes a status locks the job's row first and its steps' rows after it, so that no two of them
wait for one another, and none sees a job between two of its states.
"""

from jobs.lifecycle.finishing import WITHOUT_JSON, find_job, result_url
from jobs.lifecycle.jobs import cancel_job, delete_job, queues_of, retry_job
from jobs.lifecycle.steps import (
    CLAIM_BUCKETS_S,
    Claim,
    StepProgress,
    beat,
    cancel_step,
    claim_best,
    expired_claims,
    fail_step,
    give_up_attempt,
    note_event,
    return_step,
    succeed_step,
)
from jobs.lifecycle.submission import IdempotencyKey, Submitted, Terms, submit

__all__ = [
    "CLAIM_BUCKETS_S",
    "WITHOUT_JSON",
    "Claim",
    "IdempotencyKey",
    "StepProgress",
    "Submitted",
    "Terms",
    "beat",
    "cancel_job",
    "cancel_step",
    "claim_best",
    "delete_job",
    "expired_claims",
    "fail_step",
    "find_job",
    "give_up_attempt",
    "note_event",
    "queues_of",
    "result_url",
    "retry_job",
    "return_step",
    "submit",
    "succeed_step",
]

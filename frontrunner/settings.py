"""Settings: environment variables `FRONTRUNNER_*`, every one with a default that works on one machine."""

from __future__ import annotations

import sys
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

GIB = 1024**3


class Settings(BaseSettings):
    """Read once per process. State lives under `home`; `database_url` and `broker_url` move it to servers.

    The embedded default needs neither Redis nor PostgreSQL: SQLite in WAL mode, messages as files.
    """

    model_config = SettingsConfigDict(env_prefix="FRONTRUNNER_", extra="ignore", frozen=True, populate_by_name=True)

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("frontrunner")),
        description="Folder of the database, uploaded data, cached features and messages.",
    )
    hub: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Folders of checkpoints, separated as in PATH."
    )
    hub_mode: Literal["offline", "named", "curated"] = Field(
        default="named",
        description="Fetch nothing; or checkpoints that a request names; or also the curated set where it names none.",
    )
    hub_endpoint: str = Field(
        default="https://huggingface.co",
        validation_alias=AliasChoices("FRONTRUNNER_HUB_ENDPOINT", "HF_ENDPOINT"),
        description="Address of the hub, or of a mirror that speaks its protocol.",
    )
    hub_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("FRONTRUNNER_HUB_TOKEN", "HF_TOKEN"),
        description="Token for private and gated checkpoints.",
    )
    hub_max_bytes: int = Field(default=20 * GIB, gt=0, description="Largest checkpoint that is fetched.")
    hub_curated_bytes: int = Field(
        default=0, ge=0, description="What the curated set may take in all, the smallest first; 0: no limit."
    )
    hub_pickles: bool = Field(
        default=False, description="Let pickled weights be read, by torch's weights-only reader: administrators only."
    )
    packages: bool = Field(default=True, description="Offer checkpoints that installed Python packages ship.")
    database_url: str = Field(default="", description="SQLAlchemy URL; empty for SQLite under home.")
    broker_url: str = Field(default="", description="Celery broker URL; empty for files under home.")

    store_url: str = Field(
        default="",
        description="Where uploads, features and artifacts are kept: `s3://bucket/prefix`, `gs://...`, `abfs://...`, "
        "or a folder; empty for home.",
    )
    store_options: SecretStr | None = Field(
        default=None,
        description="Options of the store's client as a JSON object, where the environment variables that it reads by "
        "itself (`AWS_*`, `GOOGLE_*`, `AZURE_*`) do not say them.",
    )
    store_cache_bytes: int = Field(
        default=20 * GIB, gt=0, description="Copies of a remote store's files that a machine keeps."
    )

    store_links_s: int = Field(
        default=0,
        ge=0,
        description="Downloads of tuned models are sent on to the bucket, by a signed address that is valid for so "
        "many seconds; 0: they come through the API.",
    )

    host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the API listens on.")
    secret_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secret that digests of API keys are made with; by default the file secret.key under home.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names that requests without a key may be for, beside localhost; commas between them, * for any.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Sites whose pages may use the service, as https://name; commas between them."
    )
    encryption_keys: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secrets that webhooks' secrets are sealed with in the database; commas between them: the first "
        "seals, all open. By default what digests of API keys are made with.",
    )
    oidc_issuer: str = Field(default="", description="Issuer whose bearer tokens are accepted beside API keys.")
    oidc_audience: str = Field(default="", description="What those tokens must be made for.")
    oidc_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("RS256", "ES256"), description="How they may be signed; commas between them."
    )
    oidc_tenant_claim: str = Field(default="tenant", description="Their claim that names the tenant.")
    oidc_scope_claim: str = Field(default="scope", description="Their claim with the scopes.")
    oidc_scope_prefix: str = Field(default="", description="What our scopes begin with in it, as in `frontrunner:`.")
    oidc_leeway_s: float = Field(default=30.0, ge=0, le=600, description="How far the issuer's clock may be off.")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_json: bool | None = Field(
        default=None, description="Logs as JSON lines, or as text; text where a terminal shows them by default."
    )

    max_upload_bytes: int = Field(default=20 * GIB, gt=0, description="Largest upload accepted.")
    upload_expiry_s: float = Field(
        default=24 * 3600.0, gt=0, description="An upload in parts is forgotten after so long without another part."
    )
    check_concurrency: int = Field(default=2, ge=1, description="Uploads that one API process checks at a time.")
    check_timeout_s: float = Field(default=900.0, gt=0, description="Longest check of an uploaded dataset.")
    check_memory_bytes: int = Field(default=8 * GIB, gt=0, description="Address space of a dataset's check.")

    # A single user on one machine meets none of these. 0: no limit. `frontrunner keys quota` says others for a tenant.
    quota_bytes: int = Field(default=1024 * GIB, ge=0, description="Bytes of a tenant's datasets together.")
    quota_datasets: int = Field(default=100_000, ge=0, description="Datasets of a tenant.")
    quota_jobs: int = Field(default=10_000, ge=0, description="A tenant's jobs that are not over.")
    quota_compute_s: float = Field(default=0.0, ge=0, description="Seconds of a tenant's steps in any hour.")
    quota_requests: int = Field(default=60_000, ge=0, description="Requests of a tenant in a minute.")

    session_s: int = Field(default=12 * 3600, ge=60, description="A browser stays signed in for so long.")
    idempotency_key_s: float = Field(default=24 * 3600.0, gt=0, description="An Idempotency-Key is kept this long.")

    concurrency: int = Field(default=1, ge=1, description="Steps that one worker runs at a time.")
    lease_s: float = Field(default=30.0, gt=0, description="A claimed step is lost after this long without a beat.")
    heartbeat_s: float = Field(default=1.0, gt=0, description="Time between two beats; well under the lease.")
    reaper_period_s: float = Field(default=5.0, gt=0, description="Time between two looks for lost steps.")
    poll_period_s: float = Field(default=2.0, gt=0, description="An idle worker looks for work this often, unasked.")
    max_attempts: int = Field(default=3, ge=1, description="Tries of one step before it is given up as lost.")
    retry_delay_s: float = Field(default=1.0, ge=0, description="Pause after a lost attempt; doubled with each.")
    stop_grace_s: float = Field(default=30.0, ge=0, description="Longest wait for shards in hand when a worker stops.")
    examples_a_step: int = Field(
        default=16_384,
        gt=0,
        description="Larger samples are read in parts of so many examples or more, steps that any worker may take.",
    )
    forward_queue: Literal["cpu", "gpu"] = Field(default="cpu", description="Queue of steps that run models.")
    maintenance_period_s: float = Field(default=3600.0, gt=0, description="Time between two rounds of maintenance.")
    job_retention_s: float = Field(default=90 * 86400.0, ge=0, description="Finished jobs are kept so long; 0: always.")
    cache_max_bytes: int = Field(default=0, ge=0, description="Cached features are kept to this; 0: no limit.")
    pixels_max_bytes: int = Field(
        default=4 * GIB, ge=0, description="Decoded images are kept for further checkpoints up to this; 0: none."
    )
    webhook_allow_private: bool = Field(default=False, description="Let webhooks lead into private networks.")
    webhook_retry_s: float = Field(default=5.0, gt=0, description="Pause after a message's first failed try; tripled.")
    webhook_max_attempts: int = Field(default=10, ge=1, description="Tries of one message.")
    webhook_disable_after: int = Field(default=50, ge=1, description="Failed tries in a row that disable an address.")
    step_timeout_s: float = Field(default=6 * 3600.0, gt=0, description="Wall clock of one attempt.")
    step_memory_bytes: int = Field(default=0, ge=0, description="Resident memory of one runner; 0: no limit.")
    confine_runners: bool = Field(
        default=True,
        description="Take network and files from the processes that open checkpoints, as far as the system lets us.",
    )

    @field_validator("hub", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        import os

        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("allowed_hosts", "cors_origins", "oidc_algorithms", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @cached_property
    def resolved_database_url(self) -> str:
        """`database_url`, or the SQLite file under `home`."""
        return self.database_url or f"sqlite:///{self.home.resolve() / 'frontrunner.db'}"

    @cached_property
    def resolved_broker_url(self) -> str:
        """`broker_url`, or the embedded transport of `jobs.notification`."""
        return self.broker_url or "atomic-filesystem://"

    @property
    def logs_as_json(self) -> bool:
        """`log_json`, or whether anything but a terminal takes the logs."""
        return not sys.stderr.isatty() if self.log_json is None else self.log_json

    @property
    def copies(self) -> Path:
        """Where copies of a remote store's files are kept; safe to delete while nothing runs."""
        return self.home / "copies"

    @property
    def tunings(self) -> Path:
        """Where tunings of the library keep their state and what they made."""
        return self.home / "tunings"

    @property
    def work(self) -> Path:
        """Where steps of the service keep files that they go on from after an interruption."""
        return self.home / "work"

    @property
    def messages(self) -> Path:
        """Where the embedded transport keeps its messages."""
        return self.home / "messages"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings."""
    return Settings()

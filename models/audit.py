"""The audit log: who did what, and when."""

from __future__ import annotations

from sqlalchemy import Float, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned


class AuditRow(TenantOwned, Base):
    """One act, written in the transaction that did it. Triggers refuse every change, and removal within a year."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_tenant_id", "tenant", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[float] = mapped_column(Float, server_default=database_now(), index=True)
    actor: Mapped[str] = mapped_column(String(300), doc="`key:ID`, `oidc:SUBJECT`, `anybody`, or `command line`")
    action: Mapped[str] = mapped_column(String(64), doc="the operation's name in the API's document, or a command's")
    resource: Mapped[str] = mapped_column(String(255), doc="id of what it was done to; empty where it was refused")
    outcome: Mapped[str] = mapped_column(String(64), doc="`done`, or the code of the refusal")
    address: Mapped[str] = mapped_column(String(64), doc="the client's; empty of commands")
    request_id: Mapped[str] = mapped_column(String(128))

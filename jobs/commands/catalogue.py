"""`frontrunner checkpoints search` and `sync`: the catalogue in the service's database, or of a running service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from frontrunner.commands.common import JsonOption, interruptions, print_json, refusals
from frontrunner.commands.service import KeyFileOption, ServerOption, service
from frontrunner.settings import get_settings
from frontrunner.terminal import Terminal

if TYPE_CHECKING:
    from frontrunner.hub.describing.listing import CatalogueFilter, CatalogueMatches
    from models import Database


def search(
    words: Annotated[list[str] | None, typer.Argument(help="Words that must all occur.", show_default=False)] = None,
    modality: Annotated[str | None, typer.Option("--modality", help="image or text.")] = None,
    family: Annotated[str | None, typer.Option("--family", help="resnet, vit, bert...")] = None,
    license: Annotated[str | None, typer.Option("--license", help="apache-2.0, mit...")] = None,  # noqa: A002
    tag: Annotated[str | None, typer.Option("--tag")] = None,
    max_parameters: Annotated[int | None, typer.Option("--max-parameters", min=1)] = None,
    max_flops: Annotated[int | None, typer.Option("--max-flops", min=1, help="Of one example.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50,
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> None:
    """Search the catalogue: what the hubs hold, and what `sync` heard of; with --server that of a service."""
    narrowed_by = {
        "modality": modality,
        "family": family,
        "license": license,
        "tag": tag,
        "max_parameters": max_parameters,
        "max_flops": max_flops,
    }
    said = " ".join(words or ())
    if server:
        with service(server, api_key_file) as client:
            found = client.search_checkpoints(said, limit=limit, **narrowed_by)
    else:
        with refusals():
            from frontrunner.hub.describing.listing import CatalogueFilter

            found = _found_here(CatalogueFilter(search=said or None, **narrowed_by), limit)
    if json:
        print_json(found)
    else:
        from frontrunner.display import show_listed

        show_listed(found, Terminal())


def _found_here(wanted: CatalogueFilter, limit: int) -> CatalogueMatches:
    """The best matches in this machine's own database, once it has looked into the hubs."""
    from frontrunner.hub.describing.listing import CatalogueMatches, ListedCheckpoint
    from jobs.catalogue import best_matches, refresh_catalogue

    database = service_database()
    refresh_catalogue(database, get_settings())
    with database.read_transaction() as session:
        rows = best_matches(session, wanted, limit=limit)
        found = CatalogueMatches(
            checkpoints=tuple(
                ListedCheckpoint.model_validate(row, from_attributes=True)
                for row in rows[:limit]
                if row.error_code is None
            ),
            more=len(rows) > limit,
        )
    database.close()
    return found


def sync(
    hub: Annotated[
        str, typer.Argument(help="timm, whose list needs no network; hf; another hub's name; or all.")
    ] = "all",
    pattern: Annotated[str, typer.Option("--pattern", help="Only names of timm's list like this: resnet*")] = "*",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Checkpoints a kind of task of the Hub's list.")] = 500,
) -> None:
    """Fill the catalogue from the lists of hubs: timm's, the Hugging Face Hub's, and those of installed packages."""
    with refusals():
        from frontrunner.hub import HubAccess, hubs_of
        from frontrunner.hub.finding.sync import lists_of
        from jobs.catalogue import store_listed

        database = service_database()
        stored = 0
        hubs = hubs_of(HubAccess.of(get_settings()))
        kept = "What came so far is in the catalogue; the same command reads the lists again."
        with interruptions(kept), Terminal(stderr=True).status("reading lists") as status:
            for listed in lists_of(hubs, None if hub == "all" else hub, pattern=pattern, limit=limit):
                with database.write_transaction() as session:
                    stored += store_listed(session, listed)
                status.update(f"{stored:,} checkpoints are in the catalogue, the last one {listed[-1].id}")
        database.close()
        typer.echo(f"the catalogue knows {stored:,} checkpoints of these lists")


def service_database() -> Database:
    """The service's database; the embedded one is made where there is none yet, a server's is left as it is."""
    from migrations import upgrade
    from models import Database

    settings = get_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    if not settings.database_url:
        upgrade(database)
    return database

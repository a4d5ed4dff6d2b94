"""The service's OpenAPI document, from which others generate clients; `python -m api.document` prints it.

`docs/openapi.json` keeps it, so that a change of the interface shows in the change that makes it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

_REFERENCE = "#/components/schemas/{model}"


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A schema that says: as this model. The application must have been given it too."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


class DocumentedApp(FastAPI):
    """An application whose document holds the schemas that operations refer to by hand.

    FastAPI finds those of arguments and answers by itself. It sees neither into forms that are read as a stream, nor
    into answers that an error handler makes.

    Args:
        schemas: models that `reference` named.
        settings: of FastAPI.
    """

    def __init__(self, *, schemas: Sequence[type[BaseModel]], **settings: Any) -> None:
        super().__init__(**settings)
        self._by_hand = schemas

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        document = super().openapi()
        known = document.setdefault("components", {}).setdefault("schemas", {})
        for model in self._by_hand:
            schema = model.model_json_schema(ref_template=_REFERENCE)
            for name, part in {**schema.pop("$defs", {}), model.__name__: schema}.items():
                known.setdefault(name, part)
        _describe_streams(document)
        return document


_STREAM = {"description": "Server-sent events: `id` counts them, `event` is their type, `data` a JSON object."}


def _describe_streams(document: dict[str, Any]) -> None:
    """FastAPI describes streams by a word of OpenAPI 3.2, which we do not promise, and generators know nothing of."""
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                for content in answer.get("content", {}).values():
                    if content.pop("itemSchema", None) is not None:
                        content["schema"] = _STREAM


def document_text() -> str:
    """The document as it is kept: indented JSON, whatever the settings of this machine."""
    from api.app import create_app

    return json.dumps(create_app().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document_text())

"""What a change of the HTTP interface breaks: `python -m benchmarks.service.interface_changes OLD.json [NEW.json]`.

Two OpenAPI documents are compared as a client meets them. What it sends must still be accepted; what it reads must
still be there. So a field may join an answer and leave none, and what a request may hold can only grow. Values may
join an enumeration of answers: clients are told to expect that. Without NEW the present application's document is
taken. The exit code is 1 where something breaks and the version does not say so: before 1.0 its second number has to
rise for that, afterwards its first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from api.document import document_text

Side = Literal["request", "answer"]
Schema = dict[str, Any]

# Of each bound of a schema, whether a larger value lets more pass.
_BOUNDS = {
    "minimum": False, "exclusiveMinimum": False, "minLength": False, "minItems": False,
    "maximum": True, "exclusiveMaximum": True, "maxLength": True, "maxItems": True,
}  # fmt: skip


def breaking_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a client of the `old` document meets otherwise in the `new` one, a line each; nothing where all goes on.

    Example:
        >>> document = {"paths": {"/jobs": {"get": {"operationId": "listJobs", "responses": {}}}}}
        >>> breaking_changes(document, {"paths": {}})
        ['GET /jobs: the operation is gone']
    """
    return list(dict.fromkeys(_operations(_Comparison(old, new))))


def says_so(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether the new document's version is one of which clients expect to break."""
    before, after = (tuple(map(int, document["info"]["version"].split(".")[:2])) for document in (old, new))
    return after[0] > before[0] or (before[0] == after[0] == 0 and after[1] > before[1])


@dataclass
class _Comparison:
    old: dict[str, Any]
    new: dict[str, Any]

    def resolved(self, document: dict[str, Any], schema: Schema) -> Schema:
        """The schema that a reference names."""
        if "$ref" not in schema:
            return schema
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]

    def schema(
        self, at: str, old: Schema, new: Schema, side: Side, above: frozenset[tuple[str, str]] = frozenset()
    ) -> Iterator[str]:
        """What breaks where `old` becomes `new`; `above` are the pairs of references under way: schemas may recur."""
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair):
            if pair in above:
                return
            above |= {pair}
        old, new = self.resolved(self.old, old), self.resolved(self.new, new)
        if "allOf" in old or "allOf" in new:
            raise NotImplementedError(f"{at}: schemas made of several are not compared")
        before, after = _variants(old), _variants(new)
        for name in before.keys() - after.keys() if side == "request" else after.keys() - before.keys():
            said = "is not accepted any more" if side == "request" else "may come now"
            yield f"{at}: {name} {said}"
        for name in before.keys() & after.keys():
            yield from self.one(at, before[name], after[name], side, above)

    def one(self, at: str, old: Schema, new: Schema, side: Side, above: frozenset[tuple[str, str]]) -> Iterator[str]:
        """The same of two schemas of one kind."""
        if "$ref" in old or "$ref" in new:
            yield from self.schema(at, old, new, side, above)
            return
        if side == "request":
            yield from _narrower(at, old, new)
        yield from self.properties(at, old, new, side, above)
        for name in ("items", "additionalProperties"):
            inner = old.get(name), new.get(name)
            if all(isinstance(part, dict) for part in inner):
                yield from self.schema(f"{at}[]", *inner, side, above)  # type: ignore[arg-type]

    def properties(
        self, at: str, old: Schema, new: Schema, side: Side, above: frozenset[tuple[str, str]]
    ) -> Iterator[str]:
        """What breaks of the fields of an object."""
        before, after = old.get("properties", {}), new.get("properties", {})
        must_before, must_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in before.keys() - after.keys():
            yield f"{at}.{name}: the field is gone"
        if side == "request":
            for name in must_after - must_before:
                yield f"{at}.{name}: has to be given now"
        else:
            for name in (must_before - must_after) & after.keys():
                yield f"{at}.{name}: may be missing now"
        for name in before.keys() & after.keys():
            yield from self.schema(f"{at}.{name}", before[name], after[name], side, above)


def _operations(compared: _Comparison) -> Iterator[str]:
    for path, methods in compared.old["paths"].items():
        for method, before in methods.items():
            at = f"{method.upper()} {path}"
            after = compared.new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{at}: the operation is gone"
                continue
            if before["operationId"] != after["operationId"]:
                yield f"{at}: it is called {after['operationId']} and no more {before['operationId']}"
            yield from _scopes(at, before, after)
            yield from _parameters(compared, at, before, after)
            yield from _bodies(compared, at, before, after)
            yield from _answers(compared, at, before, after)


def _scopes(at: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = (
        {f"{name}:{scope}" for entry in operation.get("security", ()) for name, scopes in entry.items()
         for scope in ("any", *scopes)}
        for operation in (before, after)
    )  # fmt: skip
    for scope in new - old:
        yield f"{at}: needs {scope} now"


def _parameters(compared: _Comparison, at: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = (
        {(each["in"], each["name"].lower()): each for each in operation.get("parameters", ())}
        for operation in (before, after)
    )
    for place, name in old.keys() - new.keys():
        yield f"{at}: the {place} parameter {name} is gone"
    for key, parameter in new.items():
        is_new = key not in old
        if parameter.get("required") and (is_new or not old[key].get("required")):
            yield f"{at}: the {key[0]} parameter {key[1]} has to be given now"
        if not is_new:
            yield from compared.schema(f"{at} {key[1]}", old[key]["schema"], parameter["schema"], "request")


def _bodies(compared: _Comparison, at: str, before: Schema, after: Schema) -> Iterator[str]:
    old, new = (operation.get("requestBody", {}) for operation in (before, after))
    if new.get("required") and not old.get("required"):
        yield f"{at}: a body has to be given now"
    yield from _contents(compared, f"{at} body", old, new, "request")


def _answers(compared: _Comparison, at: str, before: Schema, after: Schema) -> Iterator[str]:
    for status, answer in before["responses"].items():
        if status not in after["responses"]:
            yield f"{at}: does not answer {status} any more"
        else:
            yield from _contents(compared, f"{at} {status}", answer, after["responses"][status], "answer")


def _contents(compared: _Comparison, at: str, old: Schema, new: Schema, side: Side) -> Iterator[str]:
    before, after = old.get("content", {}), new.get("content", {})
    for kind in before.keys() - after.keys():
        yield f"{at}: {kind} is gone"
    for kind in before.keys() & after.keys():
        yield from compared.schema(at, before[kind].get("schema", {}), after[kind].get("schema", {}), side)


def _variants(schema: Schema) -> dict[str, Schema]:
    """What a value may be, by a name of each: a kind of JSON value, or a model."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return {name: each for choice in choices for name, each in _variants(choice).items()}
    if "$ref" in schema:
        return {schema["$ref"].rpartition("/")[2]: schema}
    kinds = schema.get("type", "anything")
    return dict.fromkeys([kinds] if isinstance(kinds, str) else kinds, schema)


def _narrower(at: str, old: Schema, new: Schema) -> Iterator[str]:
    """What was accepted of a value of one kind and is not any more."""
    for bound, larger_is_wider in _BOUNDS.items():
        before, after = old.get(bound), new.get(bound)
        if after is not None and (before is None or (after < before if larger_is_wider else after > before)):
            yield f"{at}: {bound} is {after:g} now"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{at}: must look like {new['pattern']} now"
    if old.get("additionalProperties", True) and new.get("additionalProperties", True) is False:
        yield f"{at}: unknown fields are refused now"
    before, after = _values(old), _values(new)
    if after is not None:
        for value in sorted((before or set()) - after):
            yield f"{at}: {value} is not accepted any more"
        if before is None:
            yield f"{at}: only {', '.join(sorted(after))} is accepted now"


def _values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {json.dumps(schema["const"])}
    return {json.dumps(value) for value in schema["enum"]} if "enum" in schema else None


def main(arguments: list[str]) -> int:
    """Compare the documents that the arguments name; the exit code."""
    old = json.loads(Path(arguments[0]).read_text())
    new = json.loads(Path(arguments[1]).read_text() if len(arguments) > 1 else document_text())
    found = breaking_changes(old, new)
    versions = f"{old['info']['version']} -> {new['info']['version']}"
    print(f"{versions}: {len(found)} changes break clients" if found else f"{versions}: nothing breaks")
    for line in found:
        print(f"  {line}")
    return 1 if found and not says_so(old, new) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

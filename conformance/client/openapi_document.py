"""A target's own OpenAPI document: what is wrong with it, and what it declares.

A document may have any shape, and nothing here raises over one. OpenAPI's own schemas are those of
Schemathesis, in `specs.openapi.definitions`, which is not among its public names. Their validator
looks no reference up, so a document cannot make the suite read a file or ask another server.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
from schemathesis.specs.openapi import definitions

_VERSION = re.compile(r"(3\.\d+)\.\d+")
_VALIDATORS = {
    "3.0": "OPENAPI_30_VALIDATOR",
    "3.1": "OPENAPI_31_VALIDATOR",
    "3.2": "OPENAPI_32_VALIDATOR",
}
_JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"  # which jsonschema-rs has in it
_ERRORS = 100  # looked at for the one that is deepest in the document
_LONGEST = 200  # characters of what the validator says
_REFERENCES = 10  # that lead to one another


def find_version(document: Any) -> str | None:
    """The version of OpenAPI that a document names, such as `3.1`. None: none with a schema."""
    said = document.get("openapi") if isinstance(document, dict) else None
    match = _VERSION.fullmatch(said) if isinstance(said, str) else None
    return match[1] if match and match[1] in _VALIDATORS else None


def find_flaw(document: Any, version: str) -> str | None:
    """What OpenAPI's own schema of this version finds wrong, in one line; None if nothing.

    From 3.1 on, a schema among the components must be one of JSON Schema's too, unless it or the
    document names another dialect.
    """
    validator: Any = getattr(definitions, _VALIDATORS[version])
    try:
        found = _describe_deepest(validator.iter_errors(document))
        if found or version == "3.0" or "jsonSchemaDialect" in document:
            return found
        for name, schema in _dig(document, "components", "schemas", default={}).items():
            if isinstance(schema, dict) and "$schema" in schema:
                continue
            if found := _describe_deepest(_make_schema_validator().iter_errors(schema)):
                return f"components/schemas/{name}/{found}"
    except (ValueError, RecursionError) as error:
        return f"it could not be read: {str(error)[:_LONGEST]}"
    return None


def find_dangling_references(document: Any) -> list[str]:
    """Each `$ref` within the document (RFC 6901) that leads to nothing.

    One to another document is not looked up.
    """
    return [
        reference
        for reference in dict.fromkeys(_list_references(document))
        if reference.startswith("#") and _look_up(reference, document) is _NOTHING
    ]


def find_operation(document: Any, path: str, method: str) -> dict[str, Any] | None:
    """The operation of a path; None if there is none."""
    item = _resolve(_dig(document, "paths", path), document)
    operation = _dig(item, method)
    return operation if isinstance(operation, dict) else None


def list_parameters(document: Any, path: str, method: str) -> list[dict[str, Any]]:
    """The parameters that an operation declares, its path's among them."""
    item = _resolve(_dig(document, "paths", path), document)
    declared: dict[Any, dict[str, Any]] = {}
    for place in (item, find_operation(document, path, method)):
        given = _dig(place, "parameters", default=[])
        for each in given if isinstance(given, list) else []:
            parameter = _resolve(each, document)
            if isinstance(parameter, dict):
                declared[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    return list(declared.values())


def list_body_types(document: Any, path: str, method: str) -> list[str]:
    """The media types of an operation's body."""
    body = _dig(find_operation(document, path, method), "requestBody")
    content = _dig(_resolve(body, document), "content")
    return list(content) if isinstance(content, dict) else []


_NOTHING = object()


def _dig(value: Any, *names: str, default: Any = None) -> Any:
    """What is below these names; the default where a name is missing or its value is no object."""
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return default
        value = value[name]
    return value


def _resolve(value: Any, document: Any) -> Any:
    """What a reference object stands for; any other value itself."""
    for _ in range(_REFERENCES):
        reference = _dig(value, "$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        value = _look_up(reference, document)
    return value


def _look_up(reference: str, document: Any) -> Any:
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        elif isinstance(document, dict) and name in document:
            document = document[name]
        else:
            return _NOTHING
    return document


def _list_references(document: Any) -> Iterator[str]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


@cache
def _make_schema_validator() -> jsonschema_rs.Validator:
    """The validator of schemas. `jsonschema_rs.meta` would fetch what `$schema` names."""
    return jsonschema_rs.Draft202012Validator({"$ref": _JSON_SCHEMA})


def _describe_deepest(errors: Iterable[jsonschema_rs.ValidationError]) -> str | None:
    """Where the error is that is deepest in the document, and what it is. None without one."""
    found = list(islice(errors, _ERRORS))
    if not found:
        return None
    deepest = max(found, key=lambda error: len(error.instance_path))
    place = "/".join(str(step) for step in deepest.instance_path) or "the document"
    return f"{place}: {deepest.message[:_LONGEST]}"

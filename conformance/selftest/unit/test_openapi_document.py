"""What is said of a target's OpenAPI document, whatever its shape."""

import socket
from copy import deepcopy
from typing import Any

import pytest
import yaml

from conformance.client import openapi_document
from conformance.spec.catalogue import FOLDER

CONTRACT = yaml.safe_load((FOLDER / "openapi.yaml").read_text())


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def changed(value: object, *path: str) -> Any:
    """The contract with one value replaced."""
    document = deepcopy(CONTRACT)
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return document


def test_the_contract_has_no_flaw() -> None:
    assert openapi_document.find_version(CONTRACT) == "3.1"
    assert openapi_document.find_flaw(CONTRACT, "3.1") is None
    assert not openapi_document.find_dangling_references(CONTRACT)


@pytest.mark.parametrize("said", ["2.0", "3.1", "3.9.0", 3.1, None, ["3.1.0"]])
def test_a_version_without_a_schema_is_none(said: object) -> None:
    assert openapi_document.find_version(changed(said, "openapi")) is None
    assert openapi_document.find_version([said]) is None


Q = ("paths", "/items/", "get", "parameters")


@pytest.mark.parametrize(
    ("document", "flaw"),
    [
        (changed([], "paths"), "paths: "),
        (changed(None, "info"), "info: "),
        (changed({}, "info"), "info: "),
        (changed("yes", *Q), "paths//items//get/parameters: "),
        (changed([{"name": "q", "in": "querystring"}], *Q), "/parameters/0"),
        (changed("objekt", "components", "schemas", "Item", "type"), "components/schemas/Item/"),
        ([], "the document: "),
    ],
)
def test_a_flaw_is_found_at_its_place(document: object, flaw: str) -> None:
    found = openapi_document.find_flaw(document, "3.1")
    assert found is not None
    assert flaw in found
    assert len(found) < 400


@pytest.mark.parametrize(
    "odd",
    [
        changed([], "paths"),
        changed(None, "paths", "/items/"),
        changed(7, "paths", "/items/", "get"),
        changed(None, "paths", "/items/", "get", "parameters"),
        changed([None, 7, {"$ref": 7}], "paths", "/items/", "get", "parameters"),
        changed({"$ref": "#/paths/~1items~1"}, "paths", "/items/"),
        changed({"$ref": "https://elsewhere.example/"}, "paths", "/items/"),
        changed(nested(5000), "x-deep"),
        changed("\ud800", "info", "title"),
        changed(10**400, "x-number"),
        changed({"a": nested(5000)}, "components", "schemas"),
        [],
        None,
    ],
    ids=lambda _: "",
)
def test_no_shape_of_a_document_raises(odd: Any) -> None:
    openapi_document.find_version(odd)
    openapi_document.find_flaw(odd, "3.1")
    openapi_document.find_flaw(odd, "3.0")
    openapi_document.find_dangling_references(odd)
    for path, method in (("/items/", "get"), ("/process-data/", "post")):
        openapi_document.find_operation(odd, path, method)
        openapi_document.list_parameters(odd, path, method)
        openapi_document.list_body_types(odd, path, method)


def test_nothing_that_a_document_names_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema"
        for name in ("$schema", "$ref", "$id", "$dynamicRef"):
            odd = changed({name: url}, "components", "schemas", "Item")
            openapi_document.find_flaw(odd, "3.1")
            openapi_document.find_dangling_references(odd)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_references_are_followed_to_parameters_and_bodies() -> None:
    q = {"name": "q", "in": "query", "schema": {"type": "string"}}
    document = changed({"q": q}, "components", "parameters")
    document["paths"]["/items/"] = {"$ref": "#/components/pathItems/items"}
    document["components"]["pathItems"] = {
        "items": {"parameters": [{"$ref": "#/components/parameters/q"}], "get": {"responses": {}}}
    }
    body = document["paths"]["/process-data/"]["post"]["requestBody"]
    document["components"]["requestBodies"] = {"data": body}
    document["paths"]["/process-data/"]["post"]["requestBody"] = {
        "$ref": "#/components/requestBodies/data"
    }
    assert openapi_document.list_parameters(document, "/items/", "get") == [q]
    assert openapi_document.list_body_types(document, "/process-data/", "post") == [
        "application/json"
    ]
    assert not openapi_document.find_dangling_references(document)


def test_a_dangling_reference_is_named() -> None:
    document = changed({"$ref": "#/components/schemas/Gone"}, "components", "schemas", "Item")
    assert openapi_document.find_dangling_references(document) == ["#/components/schemas/Gone"]


def test_an_operations_parameter_stands_before_its_paths() -> None:
    document = changed(
        [{"name": "q", "in": "query", "required": True}], "paths", "/items/", "parameters"
    )
    (parameter,) = openapi_document.list_parameters(document, "/items/", "get")
    assert parameter["required"] is False

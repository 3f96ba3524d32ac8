"""The parts of the correct service that a fault replaces, and which of them a request reaches.

It reads the source of the classes. A part is a method or an attribute of the service.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.selftest.faulty_services.service import Service

ENTRIES = ("__init__", "__call__")  # where a server begins


@dataclass(frozen=True)
class Definition:
    """What a class says of one part: which parts that leads to, and which attributes it sets."""

    used: frozenset[str]  # of the whole service: `self.find`
    inherited: frozenset[str]  # of the classes after this one: `super().find`
    set_by_it: frozenset[str]


@cache
def read_definitions(kind: type) -> Mapping[str, Definition]:
    """Return what a class itself defines, by the name of the part."""
    body = _read_classes(kind.__module__)[kind.__name__].body
    return {name: _read_definition(node) for node in body for name in _list_names(node)}


@cache
def _read_classes(module: str) -> Mapping[str, ast.ClassDef]:
    source = Path(str(sys.modules[module].__file__)).read_text("utf-8")
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _list_names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _read_definition(node: ast.stmt) -> Definition:
    of_self = [each for each in _list_attributes(node) if _is_name(each.value, "self")]
    of_super = [each for each in _list_attributes(node) if _is_super(each.value)]
    return Definition(
        used=frozenset(each.attr for each in of_self),
        inherited=frozenset(each.attr for each in of_super),
        set_by_it=frozenset(each.attr for each in of_self if isinstance(each.ctx, ast.Store)),
    )


def _list_attributes(node: ast.stmt) -> Iterator[ast.Attribute]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Attribute))


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _is_name(node.func, "super")


def list_own_kinds(kind: type) -> Sequence[type]:
    """Return the classes that make a service differ from the correct one, the nearest first.

    One that was made of two faults has nothing of its own.
    """
    own = kind.__mro__[: kind.__mro__.index(Service)]
    return [each for each in own if each.__name__ in _read_classes(each.__module__)]


def find_changed_parts(kind: type) -> frozenset[str]:
    """Return every part that a fault replaces, adds or sets."""
    return _list_changed(kind)


@cache
def _list_changed(kind: type) -> frozenset[str]:
    definitions = [
        (name, definition)
        for each in list_own_kinds(kind)
        for name, definition in read_definitions(each).items()
    ]
    return frozenset(name for name, _ in definitions).union(
        *(definition.set_by_it for _, definition in definitions)
    )


def find_reached_parts(kind: type) -> frozenset[tuple[type, str]]:
    """Return each part that a server or a request can reach, with the class that defines it."""
    order = [*list_own_kinds(kind), Service]
    reached: set[tuple[type, str]] = set()
    waiting = [(0, name) for name in ENTRIES]
    while waiting:
        begin, name = waiting.pop()
        for place in range(begin, len(order)):
            definition = read_definitions(order[place]).get(name)
            if definition is None:
                continue
            if (order[place], name) not in reached:
                reached.add((order[place], name))
                waiting += [(0, used) for used in definition.used]
                waiting += [(place + 1, each) for each in definition.inherited]
            break
    return frozenset(reached)


def find_hidden_parts(kind: type, fault: type) -> list[str]:
    """Return the parts of a fault that are reached in it alone, and not in a class that has it."""
    return sorted(name for _, name in _reach_alone(fault) - find_reached_parts(kind))


@cache
def _reach_alone(fault: type) -> frozenset[tuple[type, str]]:
    own = list_own_kinds(fault)
    return frozenset(part for part in find_reached_parts(fault) if part[0] in own)

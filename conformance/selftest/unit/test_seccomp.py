"""The filter of system calls, interpreted as the kernel does."""

import socket
import struct

import pytest

from conformance.cage.seccomp import ALLOW, ARCHITECTURES, FAIL_WITH, KILL, build_filter

EPERM, ENOSYS = FAIL_WITH | 1, FAIL_WITH | 38
NEW_USER, OWN_THREAD = 0x10000000, 0x003D0F00  # flags of `clone`


def interpret(program: bytes, architecture: int, number: int, argument: int = 0) -> int:
    """Run classic BPF on a system call; what it returns."""
    data = struct.pack("=IIQQ", number, architecture, 0, argument)
    instructions = list(struct.iter_unpack("=HBBI", program))
    place, register = 0, 0
    while True:
        code, if_true, if_false, value = instructions[place]
        place += 1
        match code:
            case 0x20:
                (register,) = struct.unpack_from("=I", data, value)
            case 0x06:
                return int(value)
            case 0x15:
                place += if_true if register == value else if_false
            case 0x35:
                place += if_true if register >= value else if_false
            case 0x45:
                place += if_true if register & value else if_false


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_each_denied_call_fails_and_others_do_not(machine: str) -> None:
    program, chosen = build_filter(machine), ARCHITECTURES[machine]
    assert program
    for name, number in chosen.denied.items():
        assert interpret(program, chosen.audit, number) == EPERM, name
    special = {*chosen.denied.values(), chosen.clone, chosen.clone3, chosen.socket}
    for number in set(range(500)) - special:
        assert interpret(program, chosen.audit, number) == ALLOW, number


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_a_thread_may_be_made_and_a_namespace_not(machine: str) -> None:
    program, chosen = build_filter(machine), ARCHITECTURES[machine]
    assert program
    assert interpret(program, chosen.audit, chosen.clone, OWN_THREAD) == ALLOW
    assert interpret(program, chosen.audit, chosen.clone, OWN_THREAD | NEW_USER) == EPERM
    assert interpret(program, chosen.audit, chosen.clone3) == ENOSYS


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_only_sockets_that_a_network_namespace_shuts_in_are_made(machine: str) -> None:
    program, chosen = build_filter(machine), ARCHITECTURES[machine]
    assert program
    made = {
        family
        for family in range(50)
        if interpret(program, chosen.audit, chosen.socket, family) == ALLOW
    }
    assert made == {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, 16}  # and AF_NETLINK
    assert interpret(program, chosen.audit, chosen.socket, 40) == EPERM  # AF_VSOCK
    assert interpret(program, chosen.audit, chosen.clone, chosen.socket) == ALLOW


def test_calls_by_another_table_fail() -> None:
    program = build_filter("x86_64")
    assert program
    assert interpret(program, ARCHITECTURES["aarch64"].audit, 0) == KILL
    assert interpret(program, ARCHITECTURES["x86_64"].audit, 0x40000000) == EPERM


def test_an_unknown_processor_has_no_filter() -> None:
    assert build_filter("riscv64") is None

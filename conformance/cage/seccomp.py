"""The filter of system calls: what no service needs, and what could lead out of the cage.

It is a program of classic BPF for `bwrap --seccomp`. Numbers are those of the kernel's own tables
(arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
"""

import errno
import platform
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data
ALLOW, KILL, FAIL_WITH = 0x7FFF0000, 0x80000000, 0x00050000
# CLONE_NEW*: of mounts, control groups, names, IPC, users, processes and networks.
NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000
NEW_NAMESPACES |= 0x10000000 | 0x20000000 | 0x40000000
# AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK. Others, such as AF_VSOCK, know no network namespaces.
SOCKETS = (1, 2, 10, 16)
X32 = 0x40000000  # the begin of x86's second table, which no program uses


@dataclass(frozen=True)
class Architecture:
    """A processor's name for the kernel, and its numbers of the calls that are denied."""

    audit: int
    clone: int
    socket: int
    clone3: int
    denied: Mapping[str, int]
    has_x32: bool = False


NEW_CALLS = {  # have the same numbers everywhere
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "open_tree_attr": 467,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
}
ARCHITECTURES: Mapping[str, Architecture] = {
    "x86_64": Architecture(
        audit=0xC000003E,
        clone=56,
        socket=41,
        clone3=435,
        has_x32=True,
        denied=NEW_CALLS
        | {
            "ptrace": 101,
            "syslog": 103,
            "pivot_root": 155,
            "adjtimex": 159,
            "chroot": 161,
            "acct": 163,
            "settimeofday": 164,
            "mount": 165,
            "umount2": 166,
            "swapon": 167,
            "swapoff": 168,
            "reboot": 169,
            "init_module": 175,
            "delete_module": 176,
            "quotactl": 179,
            "clock_settime": 227,
            "kexec_load": 246,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "unshare": 272,
            "perf_event_open": 298,
            "name_to_handle_at": 303,
            "open_by_handle_at": 304,
            "clock_adjtime": 305,
            "setns": 308,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "finit_module": 313,
            "kexec_file_load": 320,
            "bpf": 321,
            "userfaultfd": 323,
        },
    ),
    "aarch64": Architecture(
        audit=0xC00000B7,
        clone=220,
        socket=198,
        clone3=435,
        denied=NEW_CALLS
        | {
            "umount2": 39,
            "mount": 40,
            "pivot_root": 41,
            "chroot": 51,
            "quotactl": 60,
            "acct": 89,
            "unshare": 97,
            "kexec_load": 104,
            "init_module": 105,
            "delete_module": 106,
            "clock_settime": 112,
            "syslog": 116,
            "ptrace": 117,
            "reboot": 142,
            "settimeofday": 170,
            "adjtimex": 171,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "swapon": 224,
            "swapoff": 225,
            "perf_event_open": 241,
            "name_to_handle_at": 264,
            "open_by_handle_at": 265,
            "clock_adjtime": 266,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "finit_module": 273,
            "bpf": 280,
            "userfaultfd": 282,
            "kexec_file_load": 294,
        },
    ),
}


def build_filter(machine: str = "") -> bytes | None:
    """Return the program for a processor, this machine's by default; None for an unknown one.

    A denied call fails with EPERM. `clone3` fails with ENOSYS, since the filter cannot see its
    flags: the C library then uses `clone`, which may make no namespace. Of sockets only SOCKETS are
    made.
    """
    architecture = ARCHITECTURES.get(machine or platform.machine())
    if architecture is None:
        return None
    return b"".join(struct.pack("=HBBI", *each) for each in _list_instructions(architecture))


def _list_instructions(chosen: Architecture) -> Iterator[tuple[int, int, int, int]]:
    """Yield each instruction: code, jump if true, jump if false, value."""
    denied = RETURN, 0, 0, FAIL_WITH | errno.EPERM
    yield LOAD, 0, 0, ARCHITECTURE_AT
    yield JUMP_IF_EQUAL, 1, 0, chosen.audit
    yield RETURN, 0, 0, KILL
    yield LOAD, 0, 0, NUMBER_AT
    if chosen.has_x32:
        yield JUMP_IF_AT_LEAST, 0, 1, X32
        yield denied
    for number in sorted(chosen.denied.values()):
        yield JUMP_IF_EQUAL, 0, 1, number
        yield denied
    yield JUMP_IF_EQUAL, 0, 1, chosen.clone3
    yield RETURN, 0, 0, FAIL_WITH | errno.ENOSYS
    yield JUMP_IF_EQUAL, 0, 4, chosen.clone
    yield LOAD, 0, 0, FIRST_ARGUMENT_AT
    yield JUMP_IF_ANY_BIT, 0, 1, NEW_NAMESPACES
    yield denied
    yield RETURN, 0, 0, ALLOW
    yield JUMP_IF_EQUAL, 0, len(SOCKETS) + 2, chosen.socket
    yield LOAD, 0, 0, FIRST_ARGUMENT_AT
    for index, family in enumerate(SOCKETS):
        yield JUMP_IF_EQUAL, len(SOCKETS) - index, 0, family
    yield denied
    yield RETURN, 0, 0, ALLOW

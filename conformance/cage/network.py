"""A network of the run's own: the suite and all that it starts see nothing but a loopback.

In it each port is free, also 5432, 6379, 443 and 8000, whatever else runs on the machine.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

from conformance.core.errors import WrongUsage

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
LOWEST_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def enter_own_network() -> None:
    """Leave the machine's network for a new one, with all threads that are started later.

    An ordinary user needs a user namespace for that, which the kernel makes for a process of one
    thread alone. Raises WrongUsage where the system does not allow it.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        if user == 0:
            _unshare(CLONE_NEWNET)
        else:
            _unshare(CLONE_NEWUSER | CLONE_NEWNET)
            _map_ids(user, group)
        _raise_loopback()
        LOWEST_PORT.write_text("0")
    except OSError as error:
        raise WrongUsage(
            f"a network of the run's own cannot be made here: {error.strerror}. The system must "
            "allow user namespaces (on Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0; in "
            "a container: --security-opt seccomp=unconfined), or the suite must run as root"
        ) from error


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _map_ids(user: int, group: int) -> None:
    """Keep the ids of the user and the group in a new user namespace."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))

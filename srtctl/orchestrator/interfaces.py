"""The network interfaces of this machine, and which of them others reach it by."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct

_SIOCGIFADDR = 0x8915
_UP = 0x1


def interfaces() -> dict[str, str]:
    """Name -> IPv4 address of every interface that has one, in the kernel's order."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an IPv4 address
                request = struct.pack("256s", os.fsencode(name)[:15])
                found[name] = socket.inet_ntoa(fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)[20:24])
    return found


def default_interface(routes: str) -> str:
    """The interface of the default route with the lowest metric, from the text of /proc/net/route; empty if none."""
    found = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8 and fields[1] == "00000000" and fields[7] == "00000000" and int(fields[3], 16) & _UP:
            found.append((int(fields[6]), fields[0]))
    return min(found)[1] if found else ""


def reached_by(wanted: str | None) -> tuple[str, str]:
    """(name, address) of the wanted interface, or of the default route's, or of the first that leads anywhere.

    Raises:
        LookupError: There is none; the text says which there are.
    """
    found = interfaces()
    there = ", ".join(found) or "none"
    if wanted:
        if wanted not in found:
            raise LookupError(f"no network interface {wanted!r} with an IPv4 address; there are: {there}")
        return wanted, found[wanted]
    try:
        with open("/proc/net/route", encoding="ascii") as file:
            name = default_interface(file.read())
    except OSError:
        name = ""
    if name in found:
        return name, found[name]
    for name, address in found.items():
        if not address.startswith("127."):
            return name, address
    raise LookupError(f"no network interface leads out of this node; there are: {there}")

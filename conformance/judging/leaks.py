"""What an error answer must not reveal, and one look for all of it."""

import builtins
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from conformance.core.evidence import Exchange, Fact
from conformance.judging.assertions import require

# Without a module before it, a name of this kind may also be a code of an API, such as
# "ValidationError". So only Python's own are known, and those of the usual clients.
EXCEPTIONS = (
    *sorted(
        name
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, Exception) and name.endswith("Error")
    ),
    *("ConnectError", "ReadError", "WriteError", "CloseError", "RemoteProtocolError"),
    *("LocalProtocolError", "ConnectTimeout", "ReadTimeout", "PoolTimeout", "DecodingError"),
    *("ClientConnectorError", "ClientOSError", "ClientPayloadError", "ServerDisconnectedError"),
    *("JSONDecodeError", "OperationalError", "InterfaceError", "DBAPIError", "ResponseError"),
    *("NoPermissionError", "InvalidAuthorizationSpecificationError", "CannotConnectNowError"),
)
# What is recognised without knowing the service.
GENERAL: Mapping[str, re.Pattern[str]] = {
    "a traceback": re.compile(r"Traceback|File \\?\"[^\"]+\", line \d+|\n\s+at .{1,200}:\d+:\d+"),
    "SQL": re.compile(r"\b(?:SELECT|INSERT INTO|DELETE FROM)\b"),
    "an address": re.compile(
        r"(?<![/\d])(?:localhost|\d{1,3}(?:\.\d{1,3}){3})(?::|['\"], ?)\d{2,5}\b"
    ),
    "the URL of a service": re.compile(r"\b(?:postgres|postgresql|rediss?|amqp)(?:\+\w+)?://"),
    "a source file": re.compile(
        r"site-packages|node_modules|[\w.-]+\.(?:py|mjs|cjs|js|ts|go|rs|rb|java)\b\\?\"?[:,]"
    ),
    "an exception's class": re.compile(
        r"\b[a-z_]\w*(?:\.\w+)*\.[A-Z]\w*(?:Error|Exception)\b"
        rf"|\b(?:{'|'.join(EXCEPTIONS)})\b"
    ),
}
SERVICES = {"http": "upstream", "postgresql": "database", "redis": "broker"}  # by scheme
LOCAL = ("127.0.0.1", "::1", "localhost", None)  # the host of the service itself, too
UNTOLD = ("date", "content-length", "server", "via", "x-powered-by")  # headers that tell no more
SHOWN = 200  # characters of an answer that a finding shows


@dataclass(frozen=True)
class Secrets:
    """What no answer may reveal: how it is recognised, by what it is."""

    patterns: Mapping[str, re.Pattern[str]]

    @classmethod
    def of(cls, urls: Iterable[str], folder: Path) -> Self:
        """The secrets in the URLs that a service was given, and the folder of its code."""
        found = dict(GENERAL)
        for url in urls:
            parts = urlsplit(url)
            of_it = f"of the {SERVICES.get(parts.scheme, parts.scheme)}"
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            known = {
                f"the password {of_it}": parts.password,
                f"the user {of_it}": parts.username,
                f"the host {of_it}": None if parts.hostname in LOCAL else parts.hostname,
                f"the URL {of_it}": target if parts.query else None,
            }
            found |= {what: re.compile(re.escape(text)) for what, text in known.items() if text}
            if parts.port:
                found[f"the port {of_it}"] = re.compile(rf"(?<!\d){parts.port}(?!\d)")
        if len(folder.parts) > 2:  # `/items` would be in the path of a request, too
            found["the folder of the code"] = re.compile(re.escape(str(folder)) + r"\b")
        return cls(found)

    def find_in(self, exchange: Exchange) -> list[str]:
        """What an answer reveals, in its body and in its headers."""
        headers = [value for name, value in exchange.headers if name not in UNTOLD]
        text = "\n".join([exchange.body.decode("utf-8", "replace"), *headers])
        return [what for what, pattern in self.patterns.items() if pattern.search(text)]


def expect_no_leak(exchange: Exchange, secrets: Secrets, *also: Fact) -> None:
    """The answer reveals nothing of the service and of what it stands on."""
    found = secrets.find_in(exchange)
    text = exchange.body.decode("utf-8", "replace")[:SHOWN]
    require(
        not found,
        "an answer without password, user, port, URL, SQL, traceback and source file",
        f"{' and '.join(found[:3])} in {exchange.status} {text}",
        [exchange, *also],
    )

"""What a URL says about connections, and the same URL with another address."""

import ssl
from urllib.parse import urlsplit, urlunsplit


def find_port(url: str) -> int:
    """The port of an http or https URL."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def replace_address(url: str, host: str, port: int) -> str:
    """The same URL with another host and port, and with its credentials."""
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    shown_host = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{shown_host}:{port}"))


def make_tls_context(url: str) -> ssl.SSLContext | None:
    """How a connection to the URL is encrypted, without a look at certificates; None for http."""
    if urlsplit(url).scheme != "https":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

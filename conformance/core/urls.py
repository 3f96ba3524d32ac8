"""What a URL of the target says about its connections."""

import ssl
from urllib.parse import urlsplit


def find_port(url: str) -> int:
    """The port of an http or https URL."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def make_tls_context(url: str) -> ssl.SSLContext | None:
    """How a connection to the URL is encrypted, without a look at certificates; None for http."""
    if urlsplit(url).scheme != "https":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

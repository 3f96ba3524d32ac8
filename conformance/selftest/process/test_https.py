"""Targets at https URLs: whatever their certificate says."""

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from conformance.core.evidence import Exchange
from conformance.core.urls import find_port, make_tls_context
from conformance.selftest.support.suite import SERVICES, judge
from conformance.testbed.ports import claim_port

needs_openssl = pytest.mark.skipif(which("openssl") is None, reason="openssl makes the certificate")


@pytest.fixture
def url(place: Path) -> Iterator[str]:
    """A service behind a certificate that it has signed itself, for another name."""
    key, certificate = place / "key.pem", place / "certificate.pem"
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=elsewhere"]
    subprocess.run([*making, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    port = claim_port()
    serving = [sys.executable, "-m", "uvicorn", f"{SERVICES}:blocks", "--port", str(port)]
    with subprocess.Popen(
        [*serving, "--ssl-keyfile", key, "--ssl-certfile", certificate],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if "Uvicorn running on" in line:
                break
        yield f"https://127.0.0.1:{port}"
        process.terminate()


@needs_openssl
def test_a_service_behind_a_certificate_of_its_own_is_judged(place: Path, url: str) -> None:
    finished = judge(place, "--target-url", url, "--testbed", "none", "--only", "DEP-1", "END-2")
    assert finished.verdicts == {"DEP-1": "FAIL", "END-2": "PASS"}, finished.output
    assert f"curl -ig --path-as-is -k {url}/" in finished.output


@pytest.mark.parametrize(
    ("url", "port", "is_encrypted"),
    [
        ("http://shop", 80, False),
        ("https://shop", 443, True),
        ("https://shop:8443", 8443, True),
        ("http://[::1]:8000", 8000, False),
    ],
)
def test_port_and_encryption_follow_the_scheme(url: str, port: int, is_encrypted: bool) -> None:
    assert find_port(url) == port
    context = make_tls_context(url)
    assert (context is not None) == is_encrypted
    assert context is None or context.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(("scheme", "option"), [("http", ""), ("https", " -k")])
def test_the_line_that_sends_a_request_again_looks_at_no_certificate(
    scheme: str, option: str
) -> None:
    exchange = Exchange(
        number=1, at=0.0, method="GET", url=f"{scheme}://shop", target="/async", sent=b"",
        sent_type=None, status=200, headers=(), body=b"", failure=None, ended=0.1,
    )  # fmt: skip
    assert exchange.curl == f"curl -ig --path-as-is{option} {scheme}://shop/async"

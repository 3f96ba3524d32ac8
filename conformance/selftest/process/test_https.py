"""Targets at https URLs: whatever their certificate says."""

import datetime
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conformance.core.evidence import Exchange
from conformance.core.urls import find_port, make_tls_context
from conformance.selftest.support.suite import SERVICES, judge
from conformance.testbed.ports import claim_port


def write_certificate(key_file: Path, certificate_file: Path) -> None:
    """Write a key, and a certificate for another name that the key has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def url(place: Path) -> Iterator[str]:
    """A service behind a certificate that it has signed itself, for another name."""
    key, certificate = place / "key.pem", place / "certificate.pem"
    write_certificate(key, certificate)
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

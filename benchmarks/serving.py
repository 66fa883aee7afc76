"""Starts the fixed server in a process of its own, and reads what it has counted."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Told:
    """What the server has counted so far."""

    requests: int
    bytes: int
    cpu: float


@dataclass(frozen=True)
class Server:
    """The addresses of a running server.

    Attributes:
        url: plain HTTP.
        tls_url: the same over TLS; empty without a certificate.
        cafile: the authority that the certificate is of.
    """

    url: str
    tls_url: str = ""
    cafile: str = ""

    def told(self) -> Told:
        # Never through a proxy: it is this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/told", timeout=30) as answer:
            return Told(**json.load(answer))


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate for 127.0.0.1, and of the authority that made it."""

    cert: Path
    key: Path
    ca: Path


def make_certificate(folder: str) -> Certificate | None:
    """A certificate of our own making; ``None`` without trustme, which makes it."""
    try:
        import trustme
    except ImportError:
        return None
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    made = Certificate(Path(folder, "cert.pem"), Path(folder, "key.pem"), Path(folder, "ca.pem"))
    made.cert.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(made.key))
    authority.cert_pem.write_to_path(str(made.ca))
    return made


@contextmanager
def fixed_server(
    *, day: int = 0, certificate: Certificate | None = None, core: int | None = None
) -> Iterator[Server]:
    """A running fixed server; it ends with the block, and also if this process is killed.

    Args:
        day: how many tickets the day has that is pulled.
        certificate: serve TLS, too.
        core: the core it stays on.
    """
    command = [sys.executable, "-m", "benchmarks.fixed_server", "--day", str(day)]
    if certificate is not None:
        command += ["--tls", str(certificate.cert), str(certificate.key)]
    if core is not None:
        command += ["--core", str(core)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        tls_url = process.stdout.readline().strip() if certificate is not None else ""
        if not url or (certificate is not None and not tls_url):
            raise RuntimeError("the fixed server did not start; its words are above")
        yield Server(url, tls_url, str(certificate.ca) if certificate is not None else "")
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

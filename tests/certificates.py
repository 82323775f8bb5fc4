"""Certificates of the tests' servers on loopback addresses, and of their clients."""

import subprocess
from pathlib import Path

ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
STORE_PASSWORD = "changeit"


def make_certificates(folder: Path) -> None:
    """An authority, a certificate of the nodes' addresses and one of a client, as PEM files and as Java's stores."""
    addresses = ",".join(f"IP:{address}" for address in ADDRESSES)
    (folder / "names").write_text(f"subjectAltName={addresses}\n")
    key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    _openssl(
        folder,
        "req",
        "-x509",
        *key,
        "-keyout",
        "authority.key",
        "-out",
        "authority.pem",
        "-subj",
        "/CN=authority",
    )
    for name, more in (("node", ["-extfile", "names"]), ("client", [])):
        _openssl(
            folder, "req", *key[:3], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        signed = ["-in", f"{name}.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"]
        _openssl(folder, "x509", "-req", *signed, "-days", "2", "-out", f"{name}.crt", *more)
    (folder / "client.pem").write_text(
        (folder / "client.crt").read_text() + (folder / "client.key").read_text()
    )
    files = ["-in", "node.crt", "-inkey", "node.key", "-out", "node.p12"]
    _openssl(folder, "pkcs12", "-export", *files, "-passout", f"pass:{STORE_PASSWORD}")
    trusted = [
        "-alias",
        "authority",
        "-file",
        "authority.pem",
        "-keystore",
        "trusted.p12",
        "-storetype",
        "PKCS12",
    ]
    _run(folder, "keytool", "-importcert", "-noprompt", *trusted, "-storepass", STORE_PASSWORD)


def _openssl(folder: Path, *arguments: str) -> None:
    _run(folder, "openssl", *arguments)


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)

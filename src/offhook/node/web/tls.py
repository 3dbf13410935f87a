"""A certificate authority of this machine alone, and the leaf that the node shows.

The CA may sign for localhost and loopback addresses only (RFC 5280 4.2.1.10), so trusting its file opens nothing
else. Its file never changes while it is valid; the leaf is renewed under it.
"""

from __future__ import annotations

import datetime
import fcntl
import ipaddress
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from offhook.errors import ConfigurationError, MachineError
from offhook.node.web.private import private_directory, read_private, write_private

__all__ = ["CA_DAYS", "LEAF_DAYS", "RENEW_DAYS", "LocalCertificates", "server_context"]

CA_DAYS = 3650
LEAF_DAYS = 90
RENEW_DAYS = 30

_BACKDATED = datetime.timedelta(hours=1)
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class LocalCertificates:
    """CA and leaf in ``directory`` (0700; keys 0600)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca_file = directory / "ca.pem"
        self.chain_file = directory / "localhost.pem"
        self.key_file = directory / "localhost.key"
        self._ca_key_file = directory / "ca.key"

    def ensure(self, now: datetime.datetime) -> bool:
        """Make what is missing, renew a leaf with less than 30 days left; True if the leaf is new.

        Raises:
            MachineError: the CA has expired or does not match its key; says which files to remove.
            ConfigurationError: others may read a key.
        """
        private_directory(self.directory)
        with _locked(self.directory / ".lock"):
            key, authority = self._authority(now)
            if self._leaf_is_good(authority, now):
                return False
            leaf_key = ec.generate_private_key(ec.SECP256R1())
            leaf = _sign_leaf(leaf_key.public_key(), key, authority, now)
            write_private(self.key_file, _pem_of_key(leaf_key))
            write_private(self.chain_file, _pem(leaf) + _pem(authority), mode=0o644)
            return True

    def _authority(self, now: datetime.datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        stored = read_private(self._ca_key_file)
        if stored is None or not self.ca_file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            authority = _sign_authority(key, now)
            write_private(self._ca_key_file, _pem_of_key(key))
            write_private(self.ca_file, _pem(authority), mode=0o644)
            return key, authority
        remedy = f"remove {self._ca_key_file} and {self.ca_file} and start again; clients must then trust the new file"
        try:
            loaded = serialization.load_pem_private_key(stored, password=None)
            authority = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        except ValueError as error:
            raise MachineError(f"the certificate authority cannot be read: {remedy}") from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.public_key() != authority.public_key():
            raise MachineError(f"the certificate authority and its key do not belong together: {remedy}")
        if now + datetime.timedelta(days=1) > authority.not_valid_after_utc:
            raise MachineError(f"the certificate authority expires {authority.not_valid_after_utc:%Y-%m-%d}: {remedy}")
        return loaded, authority

    def _leaf_is_good(self, authority: x509.Certificate, now: datetime.datetime) -> bool:
        key = read_private(self.key_file)
        if key is None or not self.chain_file.exists():
            return False
        try:
            leaf = x509.load_pem_x509_certificate(self.chain_file.read_bytes())
            leaf.verify_directly_issued_by(authority)
            loaded = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError, InvalidSignature):
            return False
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.public_key() != leaf.public_key():
            return False
        return leaf.not_valid_before_utc <= now and now + datetime.timedelta(days=RENEW_DAYS) < leaf.not_valid_after_utc


def server_context(chain_file: Path, key_file: Path) -> ssl.SSLContext:
    """A server's context, TLS 1.2 or newer. Call ``load_cert_chain`` on it again after a renewal.

    Raises:
        ConfigurationError: certificate or key cannot be loaded, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2: those with AEAD (RFC 9325 section 4.2)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(chain_file, key_file)
    except (OSError, ssl.SSLError) as error:
        message = (
            f"{chain_file} and {key_file} cannot be used ({error.strerror or error}): give a PEM chain and its key"
        )
        raise ConfigurationError("relay.certificate", message) from error
    return context


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two nodes that start at once with one directory must not both make a CA."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sign_authority(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "offhook"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"offhook local CA {now:%Y-%m-%d %H%M%S}"),
        ]
    )
    permitted = [x509.DNSName("localhost"), *(x509.IPAddress(network) for network in _LOOPBACK)]
    return (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _sign_leaf(
    public: ec.EllipticCurvePublicKey,
    ca_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    now: datetime.datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    days = min(LEAF_DAYS, (authority.not_valid_after_utc - now).days)
    return (
        _builder(name, authority.subject, public, now, days)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

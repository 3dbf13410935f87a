"""The CA and leaf, judged by Python's strict checks and by the openssl and node programs where they exist."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from offhook.errors import ConfigurationError, MachineError
from offhook.node.web.tls import CA_DAYS, LEAF_DAYS, LocalCertificates, server_context

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def certificates(tmp_path: Path) -> LocalCertificates:
    made = LocalCertificates(tmp_path / "tls")
    assert made.ensure(NOW)
    return made


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readexactly(2))
    writer.close()


async def _greet(certificates: LocalCertificates, client: ssl.SSLContext, host: str, name: str) -> bytes:
    context = server_context(certificates.chain_file, certificates.key_file)
    server = await asyncio.start_server(_echo, host, 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(host, port, ssl=client, server_hostname=name)
        writer.write(b"hi")
        answer = await reader.read(2)
        writer.close()
        return answer


def _strict_client(ca_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file))
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_strict_client_that_trusts_the_ca_file_accepts_the_leaf(
    certificates: LocalCertificates, name: str
) -> None:
    assert await _greet(certificates, _strict_client(certificates.ca_file), "127.0.0.1", name) == b"hi"


async def test_a_client_that_does_not_trust_the_ca_refuses(certificates: LocalCertificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await _greet(certificates, ssl.create_default_context(), "127.0.0.1", "localhost")


async def test_another_name_is_refused(certificates: LocalCertificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await _greet(certificates, _strict_client(certificates.ca_file), "127.0.0.1", "example.org")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
def test_openssl_accepts_the_chain_with_strict_checks(certificates: LocalCertificates) -> None:
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "::1"]
    done = subprocess.run(
        [*command, "-CAfile", certificates.ca_file, certificates.chain_file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_ca_is_constrained_to_this_machine(certificates: LocalCertificates) -> None:
    authority = x509.load_pem_x509_certificate(certificates.ca_file.read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert {str(name.value) for name in constraints.value.permitted_subtrees or ()} == {
        "localhost",
        "127.0.0.0/8",
        "::1/128",
    }


def test_keys_are_for_their_owner_alone(certificates: LocalCertificates) -> None:
    assert stat.S_IMODE(certificates.directory.stat().st_mode) == 0o700
    for key in certificates.directory.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(list(certificates.directory.glob("*.key"))) == 2


def test_a_second_start_changes_nothing(certificates: LocalCertificates) -> None:
    before = {path.name: path.read_bytes() for path in certificates.directory.iterdir()}
    assert not LocalCertificates(certificates.directory).ensure(NOW)
    assert {path.name: path.read_bytes() for path in certificates.directory.iterdir()} == before


def test_a_leaf_near_its_end_is_renewed_under_the_same_ca_file(certificates: LocalCertificates) -> None:
    authority = certificates.ca_file.read_bytes()
    leaf = certificates.chain_file.read_bytes()
    assert certificates.ensure(NOW + datetime.timedelta(days=LEAF_DAYS - 20))
    assert certificates.ca_file.read_bytes() == authority
    assert certificates.chain_file.read_bytes() != leaf


def test_a_leaf_that_does_not_match_its_key_is_made_again(certificates: LocalCertificates, tmp_path: Path) -> None:
    other = LocalCertificates(tmp_path / "other")
    other.ensure(NOW)
    certificates.key_file.write_bytes(other.key_file.read_bytes())
    assert certificates.ensure(NOW)


def test_an_expired_ca_is_refused_with_the_files_to_remove(certificates: LocalCertificates) -> None:
    with pytest.raises(MachineError, match=r"remove .*ca\.key"):
        certificates.ensure(NOW + datetime.timedelta(days=CA_DAYS))


def test_a_ca_key_that_others_may_read_is_refused(certificates: LocalCertificates) -> None:
    (certificates.directory / "ca.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        certificates.ensure(NOW)


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir(mode=0o755)
    with pytest.raises(ConfigurationError, match="chmod 700"):
        LocalCertificates(tmp_path / "tls").ensure(NOW)


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_node_accepts_the_leaf_by_its_extra_ca_variable(certificates: LocalCertificates) -> None:
    context = server_context(certificates.chain_file, certificates.key_file)
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=context)
    program = (
        "const s=require('tls').connect({port:+process.argv[1],host:'localhost',servername:'localhost',"
        "lookup:(h,o,c)=>o.all?c(null,[{address:'127.0.0.1',family:4}]):c(null,'127.0.0.1',4)},"
        "()=>{console.log(s.authorized);s.end('hi')});s.on('error',e=>console.log(e.code))"
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        child = await asyncio.create_subprocess_exec(
            "node",
            "-e",
            program,
            str(port),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(certificates.ca_file)},
        )
        answer, _ = await asyncio.wait_for(child.communicate(), 30)
    assert answer.decode().strip() == "true"


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "aNULL:eNULL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "kRSA:@SECLEVEL=0"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_and_suites_without_aead_or_forward_secrecy_are_refused(
    certificates: LocalCertificates, version: ssl.TLSVersion, ciphers: str
) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.minimum_version = client.maximum_version = version
    client.set_ciphers(ciphers)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _greet(certificates, client, "127.0.0.1", "localhost")


@pytest.mark.parametrize(
    "ciphers", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
)
async def test_a_client_of_tls_1_2_is_served(certificates: LocalCertificates, ciphers: str) -> None:
    client = _strict_client(certificates.ca_file)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(ciphers)
    assert await _greet(certificates, client, "127.0.0.1", "localhost") == b"hi"

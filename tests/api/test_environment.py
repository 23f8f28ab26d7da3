"""What the environment may change about where a key goes, and what not (SAFETY H12)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from createos_nb import AsyncClient, errors
from createos_nb.api.client import Client

KEY = "skp_0123456789abcdef"
ANSWER = b'{"status": "success", "data": "deleted"}'
REMOTE = "https://createos.invalid"
PROXIES = [
    name for plain in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (plain, plain.lower())
]


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch):
    for name in (*PROXIES, *map(str.lower, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def listening(answer=b"", wrap=lambda connection: connection):
    """Listen, keep what comes first over each connection, and answer it."""
    seen = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = opened.accept()
                with contextlib.suppress(OSError), wrap(connection) as talk:
                    seen.append(talk.recv(65536))
                    if answer:
                        talk.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)

    opened = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield opened.getsockname()[1], seen
    finally:
        opened.shutdown(socket.SHUT_RDWR)
        opened.close()


def blocking(url):
    with Client(url, api_key=KEY, timeout_s=10) as client:
        return client.projects.delete("p")


def awaiting(url):
    async def run():
        async with AsyncClient(url, api_key=KEY, timeout_s=10) as client:
            return await client.projects.delete("p")

    return asyncio.run(run())


@pytest.fixture(params=[blocking, awaiting])
def delete(request):
    return request.param


def info(url):
    with Client(url, api_key=KEY) as client:
        return client.info()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_used_shown_without_its_password_and_sees_no_key(delete, name, monkeypatch):
    with listening() as (port, seen):
        monkeypatch.setenv(name, f"http://ada:s3cret@127.0.0.1:{port}")
        assert info(REMOTE)["proxy"] == f"http://…@127.0.0.1:{port}"
        with pytest.raises(errors.CreateOSError):
            delete(REMOTE)
    assert seen
    assert all(first.startswith(b"CONNECT createos.invalid:443 ") for first in seen)
    assert KEY.encode() not in b"".join(seen)


def test_a_proxy_of_a_kind_that_cannot_be_used_is_refused_without_its_password(delete, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://ada:s3cret@127.0.0.1:1")
    with pytest.raises(errors.SettingsError, match="HTTPS_PROXY takes http") as raised:
        delete(REMOTE)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "more",
    [{"NO_PROXY": "createos.invalid"}, {"NO_PROXY": "*"}, {"HTTPS_PROXY": ""}],
    ids=["named", "all", "other"],
)
def test_a_proxy_that_is_not_for_this_host_is_not_asked(delete, more, monkeypatch):
    with listening() as (port, seen):
        for name, value in {
            "HTTP_PROXY": f"http://127.0.0.1:{port}",
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
            **more,
        }.items():
            monkeypatch.setenv(name, value)
        assert info(REMOTE)["proxy"] is None
        with pytest.raises(errors.ConnectionFailed):
            delete(REMOTE)
    assert seen == []


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_no_proxy_is_asked_about_this_machine(delete, name, monkeypatch):
    with listening(ANSWER) as (port, _), listening() as (proxy, seen):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert delete(f"http://127.0.0.1:{port}") == "deleted"
        assert info(f"http://127.0.0.1:{port}")["proxy"] is None
    assert seen == []


def test_what_a_netrc_says_of_the_host_is_not_sent(delete, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with listening(ANSWER) as (port, seen):
        assert delete(f"http://127.0.0.1:{port}") == "deleted"
    (request,) = seen
    assert b"authorization" not in request.lower()
    assert f"X-Api-Key: {KEY}".lower().encode() in request.lower()


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate for this machine that nobody knows, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_a_certificate_is_believed_only_when_the_environment_names_its_authority(delete, certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(ANSWER, lambda connection: context.wrap_socket(connection, server_side=True)) as (port, seen):
        with pytest.raises(errors.ConnectionFailed):
            delete(f"https://localhost:{port}")
        assert seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert delete(f"https://localhost:{port}") == "deleted"
        assert len(seen) == 1


def test_a_key_never_travels_in_clear_over_a_network(delete):
    with pytest.raises(errors.SettingsError, match="https"):
        delete("http://createos.invalid")

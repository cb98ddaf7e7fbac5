"""A proxy that answers for a host on the other side, from files of a folder, and drops every third connection."""

from __future__ import annotations

import datetime
import http.server
import ssl
import threading
from pathlib import Path

EVERY = 3


class DroppingProxy:
    """On a port of this machine; `asked` has the file of each connection and whether the connection held."""

    def __init__(self, host: str, folder: Path, scratch: Path):
        self.asked: list[tuple[str, bool]] = []
        self.certificate = scratch / "certificate.pem"
        self.certificate.write_bytes(certificate(host))
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(self.certificate)
        proxy, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_CONNECT(self):
                if self.path != f"{host}:443":  # a browser that draws pictures asks for its maker
                    self.send_error(403)
                    return
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                with secure.wrap_socket(self.connection, server_side=True) as inside, inside.makefile("rb") as lines:
                    name = lines.readline().split()[1].decode().rpartition("/")[2]
                    while lines.readline().strip():
                        pass
                    content = (folder / name).read_bytes()
                    with lock:
                        holds = (len(proxy.asked) + 1) % EVERY != 0
                        proxy.asked.append((name, holds))
                    inside.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
                    inside.sendall(content if holds else content[: len(content) // 2])

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """Settings with which a program fetches through this proxy and believes it."""
        address = f"http://127.0.0.1:{self.server.server_port}"
        named = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), address)
        return named | {"REQUESTS_CA_BUNDLE": str(self.certificate), "NO_PROXY": "127.0.0.1,localhost"}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def certificate(host: str) -> bytes:
    """A key and its certificate for a host, signed by itself, as text of both."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    unused = "content_commitment key_encipherment data_encipherment key_agreement crl_sign encipher_only decipher_only"
    uses = dict.fromkeys(unused.split(), False)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **uses), critical=True)
        .add_extension(public, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*formats) + made.public_bytes(serialization.Encoding.PEM)

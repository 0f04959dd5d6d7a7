"""The stand-in Drive in a process of its own, and a TLS proxy to it for clients that know no address but Google's.

python -m benchmarks.speed.drive_server <files> <folder>: prints where it is as JSON. Each line on
its standard input is answered by the number of calls since the last one; if the line says "add", a file is added.
"""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.stand_in import StandInDrive

HOST = "www.googleapis.com"
LATENCY = 0.03


def make_certificate(folder: Path) -> Path:
    """A certificate for Google's host that is trusted only by whoever is told to; with its key, in one file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


def start_proxy(certificate: Path, target: tuple[str, int]) -> int:
    """Answer CONNECT to whatever host with our certificate, and pass the bytes on to the stand-in; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as safe, socket.create_connection(target) as plain:
            back = threading.Thread(target=_pump, args=(plain, safe), daemon=True)
            back.start()
            _pump(safe, plain)
            back.join()

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side has hung up


def main() -> None:
    num, folder = int(sys.argv[1]), Path(sys.argv[2])
    with StandInDrive() as drive:
        for number in range(num):
            drive.tree.put(f"digits/{number % 10}/{number}.png", f"ink {number} ".encode() * 60)
        drive.latency = LATENCY
        (folder / "key.json").write_text(json.dumps(drive.people.service_account_key()))
        certificate = make_certificate(folder)
        address = urlsplit(drive.root)
        port = start_proxy(certificate, (str(address.hostname), int(address.port or 80)))
        told = {"root": drive.root, "folder": drive.tree.root.id, "certificate": str(certificate)}
        print(json.dumps(told | {"proxy": f"http://127.0.0.1:{port}", "key": str(folder / "key.json")}), flush=True)
        for line in sys.stdin:
            print(len(drive.calls), flush=True)
            if line.strip() == "add":
                drive.tree.put("digits/4/new.png", "new")
            drive.calls.clear()


if __name__ == "__main__":
    main()

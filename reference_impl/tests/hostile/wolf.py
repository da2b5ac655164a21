"""Between the backend and the fake Evolution API: hands everything on, until it is told to answer with bytes of its own."""

from __future__ import annotations

import contextlib
import http.client
import socket
import socketserver
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

__all__ = ["Wolf", "running_wolf"]


class Wolf:
    """`bites(path, answer)` is what the next calls to a path get; `seen` are the heads of all requests it bit."""

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind).netloc
        self.url = ""
        self.seen: list[bytes] = []
        self._answers: dict[str, bytes | None] = {}

    def bites(self, path: str, answer: bytes | None) -> None:
        """Calls whose path holds `path` are answered with these bytes; None closes the connection without any."""
        self._answers[path] = answer

    def sleeps(self) -> None:
        self._answers.clear()
        self.seen.clear()

    def bite_for(self, target: str) -> tuple[bool, bytes | None]:
        for path, answer in self._answers.items():
            if path in target:
                return True, answer
        return False, None


@contextlib.contextmanager
def running_wolf(behind: str) -> Iterator[Wolf]:
    wolf = Wolf(behind)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, TimeoutError, ValueError):
                while self._one():
                    pass

        def _one(self) -> bool:
            line = self.rfile.readline()
            if not line.strip():
                return False
            method, target, _ = line.decode("latin-1").split(" ", 2)
            headers: list[tuple[str, str]] = []
            while (header := self.rfile.readline()).strip():
                name, _, value = header.decode("latin-1").partition(":")
                headers.append((name.strip(), value.strip()))
            length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
            body = self.rfile.read(length)
            bitten, answer = wolf.bite_for(target)
            if bitten:
                wolf.seen.append(line + "\r\n".join(f"{name}: {value}" for name, value in headers).encode() + b"\r\n\r\n" + body)
                if answer is not None:
                    self.wfile.write(answer)
                self.connection.shutdown(socket.SHUT_RDWR)
                return False
            onward = http.client.HTTPConnection(wolf.behind, timeout=120)
            try:
                onward.request(method, target, body or None, dict(headers))
                got = onward.getresponse()
                content = got.read()
            except (http.client.HTTPException, OSError):
                return False
            finally:
                onward.close()
            head = [f"HTTP/1.1 {got.status} {got.reason}"]
            head += [
                f"{name}: {value}"
                for name, value in got.getheaders()
                if name.lower() not in ("content-length", "transfer-encoding", "connection")
            ]
            self.wfile.write("\r\n".join([*head, f"Content-Length: {len(content)}", "", ""]).encode("latin-1") + content)
            return True

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        wolf.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield wolf
        finally:
            server.shutdown()
            thread.join(10)

"""A store that fails on purpose: a proxy in front of an S3 server, which does with a request what a test says.

    with unreliable(s3) as proxy:
        proxy.fault = lambda request: "lost" if request.method == "PUT" else ""
        ...                                 # proxy.requests: all that came, in their order

`busy` answers 503, `conflict` 409, `lost` carries a request out and cuts the connection, `half` cuts it within the
request's body, `short` within the answer's, `silent` never answers; "" passes the request on.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Request(NamedTuple):
    """What a store was asked for."""

    method: str
    path: str  # of the object, with its bucket
    query: str

    def writes(self, name: str = "") -> bool:
        """Whether it writes an object whose key ends so."""
        return self.method == "PUT" and self.path.endswith(name)

    @property
    def kind(self) -> str:
        """Its method; of a list, LIST."""
        return "LIST" if "list-type" in self.query else self.method

    def listed(self, root: str) -> str:
        """What it lists, without a slash at the end; of any other request, its method. root: of what is relative."""
        (prefix,) = parse_qs(self.query).get("prefix", [""])
        return prefix.removeprefix(root).rstrip("/") if self.kind == "LIST" else self.method


Fault = Callable[[Request], str]


class Proxy(ThreadingHTTPServer):
    """In front of the server at an address."""

    daemon_threads, request_queue_size = True, 64

    def __init__(self, behind: str):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.ending = str(urlsplit(behind).netloc), threading.Event()
        self.requests: list[Request] = []
        self.fault: Fault = lambda request: ""
        self._one = threading.Lock()  # a fault may count

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def said(self, request: Request) -> str:
        """The fault of this request."""
        with self._one:
            self.requests.append(request)
            return self.fault(request)

    def handle_error(self, *of: object) -> None:
        """A client that has given up is what is tried here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass_on(self) -> None:
        url, length = urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
        fault = self.server.said(Request(self.command, url.path, url.query))
        body = self.rfile.read(length // 2 if fault == "half" else length)
        if fault == "silent":
            self.server.ending.wait()
        if fault in ("half", "silent"):
            return self._cut()
        if fault in ("busy", "conflict"):
            return self._answer(503 if fault == "busy" else 409, {}, b"")
        behind = http.client.HTTPConnection(self.server.behind)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        content, headers = answer.read(), dict(answer.headers)
        behind.close()
        if fault == "lost":
            return self._cut()
        self._answer(answer.status, headers, content, short=fault == "short")
        return None

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    def _answer(self, status: int, headers: dict[str, str], content: bytes, short: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if short else content)
        if short:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True

    def log_message(self, *of: object) -> None:
        """Nothing: a test prints what it wants to know."""


@contextmanager
def unreliable(address: str) -> Iterator[Proxy]:
    """The proxy, which passes everything on until a test says otherwise."""
    proxy = Proxy(address)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.ending.set()
        proxy.shutdown()
        proxy.server_close()


def first(number: int, fault: str, of: Callable[[Request], bool]) -> Fault:
    """That fault for the first so many of those requests."""
    left = [number]

    def fails(request: Request) -> str:
        if left[0] and of(request):
            left[0] -= 1
            return fault
        return ""

    return fails

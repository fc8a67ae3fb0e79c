"""What all stand-ins share: an HTTP server in a thread, its log of requests, its faults, and how rows become JSON."""

import contextlib
import datetime
import decimal
import gzip
import http.server
import json
import re
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

MARKED_NUMBER = re.compile(r'"\\u0000([^"]*)"')


@dataclass
class Request:
    """One request as it came, and the status that it got. Names of headers are in lower case."""

    method: str
    path: str
    pairs: list  # the query's (name, value), decoded, in their order
    headers: dict
    body: bytes
    time: float  # time.monotonic() at its arrival
    target: str  # path and query as they were sent
    status: int = None

    @property
    def query(self):
        """The query by name; the last of equal names counts."""
        return dict(self.pairs)

    def json(self):
        return json.loads(self.body)


@dataclass
class Response:
    """An answer. `chunks` is an iterable of bytes to send in place of the body; the length of `body` is announced all the same.
    `close` ends the connection afterwards."""

    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    chunks: object = None
    close: bool = False


class Refusal(Exception):
    """Raised by a handler to answer with an error."""

    def __init__(self, status, body=None, **headers):
        super().__init__(status, body)
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}


class Server:
    """A server on a free loopback port. A stand-in overrides handle(), and time_text() for the way it writes times.

        requests           every request so far, in order; forget() empties it
        next(fault, …)     the next requests meet these faults, one each (see faults.py)
        each(n, fault)     each n-th request meets this fault; fault=None ends that
        close(), start()   stops it, with every connection, and starts it again on the same port
    """

    auth = None  # an object of auth.py that every request but those for tokens must satisfy
    gzip = False  # compress for clients that accept it

    def __init__(self, *tables, port=0):
        self.tables = {table.name: table for table in tables}
        self.requests = []
        self.lock = threading.RLock()
        self.faults = []
        self.every = None  # (n, fault, requests seen)
        self.port = port
        self.released = threading.Event()  # set when it closes: whoever stalls waits for this
        self.listener = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        self.released.clear()
        self.listener = Listener(("127.0.0.1", self.port), Handler)
        self.listener.owner = self
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def close(self):
        if self.listener is None:
            return
        listener, self.listener = self.listener, None
        self.released.set()
        listener.shutdown()
        listener.server_close()
        listener.cut()

    def forget(self):
        with self.lock:
            self.requests = []

    def next(self, *faults):
        with self.lock:
            self.faults += faults

    def each(self, n, fault):
        with self.lock:
            self.every = fault and [n, fault, 0]

    def handle(self, request):
        """Answers a request: a Response, or what is to be sent as JSON. Raise Refusal for errors."""
        raise NotImplementedError

    def time_text(self, moment):
        return iso_seconds(moment)

    # ---------------------------------------------------------------------------------------------------------- its parts

    def answer(self, request):
        """The Response to a request, faults included; what was logged has its status then."""
        with self.lock:
            self.requests.append(request)
            fault = self.faults.pop(0) if self.faults else None
            if self.every:
                self.every[2] += 1
                if self.every[2] % self.every[0] == 0:
                    fault = fault or self.every[1]
        if fault:
            response = fault(request, lambda: self.regular_answer(request), self)
        else:
            response = self.regular_answer(request)
        request.status = response.status
        return response

    def regular_answer(self, request):
        try:
            if self.auth:
                token = self.auth.token_answer(request)
                if token is not None:
                    return self.as_response(token)
                self.auth.check(request)
            return self.as_response(self.handle(request))
        except Refusal as refusal:
            body = {"error": f"status {refusal.status}"} if refusal.body is None else refusal.body
            response = self.as_response(body)
            response.status = refusal.status
            response.headers |= refusal.headers
            return response

    def as_response(self, content):
        return content if isinstance(content, Response) else self.json_response(content)

    def json_response(self, content, status=200, **headers):
        names = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        return Response(status, self.json_text(content).encode(), {"Content-Type": "application/json"} | names)

    def json_text(self, content):
        """JSON in which times have this server's form, and a Decimal every digit that it has."""
        marked = False

        def other(value):
            nonlocal marked
            if isinstance(value, datetime.datetime):
                return self.time_text(value)
            if isinstance(value, decimal.Decimal):
                marked = True
                return f"\0{value}"
            raise TypeError(f"{type(value)} has no JSON form")

        text = json.dumps(content, default=other, ensure_ascii=False, separators=(",", ":"))
        return MARKED_NUMBER.sub(r"\1", text) if marked else text

    def table(self, name):
        if name not in self.tables:
            raise Refusal(404)
        return self.tables[name]


def iso_seconds(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_ms(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def whole(query, name, default=None, least=0):
    """A parameter that is a number, or a 400."""
    text = query.get(name)
    if text is None or text == "":
        return default
    if not re.fullmatch(r"\d+", text) or int(text) < least:
        raise Refusal(400, {"error": f"{name} is no number that is allowed: {text}"})
    return int(text)


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    owner = None

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, address):
        self.connections.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, address):
        """A client that goes away in the middle is no error of this server."""

    def cut(self):
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version, sys_version = "stand-in", ""

    def _exchange(self):
        path, _, query = self.path.partition("?")
        request = Request(
            self.command, urllib.parse.unquote(path), urllib.parse.parse_qsl(query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)), time.monotonic(), self.path,
        )  # fmt: skip
        owner = self.server.owner
        response = owner.answer(request)
        body, headers = response.body, dict(response.headers)
        if owner.gzip and response.chunks is None and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        self.send_response(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if response.status not in (204, 304) and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        if response.close:
            self.send_header("Connection", "close")
        self.end_headers()
        if request.method != "HEAD":
            for chunk in [body] if response.chunks is None else response.chunks:
                self.wfile.write(chunk)
        self.close_connection = self.close_connection or response.close

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _exchange

    def log_message(self, *_):
        """The log is Server.requests."""

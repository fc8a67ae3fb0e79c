"""What all stand-ins share: an HTTP server in a thread, its log of requests, its faults, and how rows become JSON."""

import datetime
import decimal
import json
import re
import threading
import traceback
from dataclasses import dataclass, field
from time import monotonic

from .listener import Listener

MARKED_NUMBER = re.compile(r'"\\u0000([^"]*)"')


@dataclass
class Request:
    """One request as it came, and the status that it got. Names of headers are in lower case."""

    method: str
    path: str
    pairs: list  # the query's (name, value), decoded, in their order
    headers: dict
    body: bytes
    target: str  # path and query as they were sent
    time: float = field(default_factory=monotonic)  # at its arrival
    status: int = None  # of the answer, once there is one
    sent: int = 0  # bytes of its body

    @property
    def query(self):
        """The query by name; the last of equal names counts."""
        return dict(self.pairs)

    def json(self):
        return json.loads(self.body)


@dataclass
class Response:
    """An answer. `chunks` is an iterable of bytes to send in place of the body; the length of `body` is announced all the same.
    `close` ends the connection afterwards, `reset` without a word; one that is `silent` sends nothing at all."""

    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    chunks: object = None
    close: bool = False
    reset: bool = False
    silent: bool = False


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
        ahead              how far its clock, the Date of its answers, is ahead of this machine's
    """

    auth = None  # an object of auth.py that every request but those for tokens must satisfy
    gzip = False  # compress for clients that accept it

    def __init__(self, *tables, port=0):
        self.tables = {table.name: table for table in tables}
        self.requests = []
        self.mistakes = []  # of the stand-in's own code
        self.lock = threading.RLock()
        self.ahead = datetime.timedelta()
        self.faults = []
        self.every = None  # (n, fault, requests seen)
        self.port = port
        self.released = threading.Event()  # set when it closes: whoever stalls waits for this
        self.listener = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self):
        """What a user gives as base_url of this service."""
        return self.url + "/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        self.released.clear()
        self.listener = Listener(self)
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
        if self.mistakes:
            raise AssertionError("the stand-in itself made a mistake: " + "\n".join(self.mistakes))

    def clock(self):
        return datetime.datetime.now(datetime.timezone.utc) + self.ahead

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

    def answer(self, *what_came):
        """The Response to a request, faults included."""
        request = Request(*what_came)
        with self.lock:
            self.requests.append(request)
            fault = self.faults.pop(0) if self.faults else None
            if self.every:
                self.every[2] += 1
                if self.every[2] % self.every[0] == 0:
                    fault = fault or self.every[1]
        try:
            response = fault(request, lambda: self.regular_answer(request), self) if fault else self.regular_answer(request)
        except Exception:  # noqa: BLE001 - close() raises it, in the test's own thread
            self.mistakes.append(f"{request.method} {request.target}\n{traceback.format_exc()}")
            response = Response(500)
        request.status, request.sent = response.status, len(response.body)
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

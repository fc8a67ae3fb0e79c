"""HTTP/1.1 by the standard library, a thread a connection; what is answered is the owner's (server.py)."""

import contextlib
import gzip
import http.server
import socket
import struct
import sys
import urllib.parse


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner):
        self.owner, self.connections = owner, set()
        super().__init__(("127.0.0.1", owner.port), Handler)

    def process_request(self, request, address):
        self.connections.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, address):
        """A client that goes away in the middle is no mistake of this server."""
        if not isinstance(error := sys.exc_info()[1], (OSError, ValueError)):  # ValueError: the connection is closed already
            self.owner.mistakes.append(repr(error))

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
        owner = self.server.owner
        response = owner.answer(
            self.command, urllib.parse.unquote(path), urllib.parse.parse_qsl(query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)), self.path,
        )  # fmt: skip
        if response.silent:
            self.close_connection = True
            return
        body, headers = response.body, dict(response.headers)
        if owner.gzip and response.chunks is None and "gzip" in self.headers.get("Accept-Encoding", ""):
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
        if self.command != "HEAD":
            for chunk in [body] if response.chunks is None else response.chunks:
                self.wfile.write(chunk)
        self.close_connection = self.close_connection or response.close
        if response.reset:  # what is on its way is forgotten, and the client gets no end but a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _exchange

    def date_time_string(self, timestamp=None):
        return super().date_time_string(self.server.owner.clock().timestamp() if timestamp is None else timestamp)

    def log_message(self, *_):
        """The log is Server.requests."""

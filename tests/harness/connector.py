"""The connector program without a server: requests in, frames out."""

import fcntl
import json
import os
import struct
import subprocess

from .environment import BIN, CLEAN_ENVIRONMENT


def _rows(payload):
    """The rows of a frame: int16 count, then int32 length and bytes of each field."""
    at = 0
    while at < len(payload):
        (count,) = struct.unpack_from(">h", payload, at)
        at += 2
        row = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", payload, at)
            at += 4
            row.append(None if length < 0 else payload[at : at + length])
            at += max(length, 0)
        yield tuple(row)


class Connector:
    """A running connector, with these variables in its environment. It is a child of this process, under whose own user it
    runs.

    >>> with Connector() as connector:
    ...     connector.call(verb="open", kind="odbc", server={"driver": "SQLite3", "database": path})
    """

    def __init__(self, **environment):
        self.process = subprocess.Popen(
            [BIN / "pg_insync_connector"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=CLEAN_ENVIRONMENT | environment, preexec_fn=os.setsid,
        )  # fmt: skip
        fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, 1 << 20)  # as the worker does
        self.pid = self.process.pid
        kind, _ = self.frame()
        assert kind == "H", f"the connector said {kind}, not hello"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def frame(self):
        """The next frame: its type, and its payload (rows as bytes, all else as JSON)."""
        header = self.process.stdout.read(5)
        if len(header) < 5:
            raise RuntimeError(f"connector exited unexpectedly: {self.process.wait()} {self.process.stderr.read().decode()}")
        kind, length = chr(header[0]), struct.unpack(">i", header[1:])[0]
        payload = self.process.stdout.read(length)
        return kind, payload if kind == "R" else json.loads(payload)

    def send(self, line):
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, **request):
        """Sends a request and returns its frames up to `done` (D) or `error` (E)."""
        self.send(request)
        frames = []
        while not frames or frames[-1][0] not in "DE":
            frames.append(self.frame())
            if frames[-1][0] == "W":  # may it send a request? It may at once
                frames.pop()
                self.send({"wait_ms": 0})
        return frames

    def open(self, **options):
        """Connects to an ODBC source with the options of CREATE SERVER, user and password among them."""
        credentials = {name: options.pop(name) for name in ("user", "password") if name in options}
        frames = self.call(verb="open", kind="odbc", server={name: str(value) for name, value in options.items()}, credentials=credentials)
        assert frames[-1][0] == "D", frames

    def read(self, **request):
        """The rows of a read, as tuples of bytes or None, and its other frames."""
        frames = self.call(verb="read", **request)
        rows = [row for kind, payload in frames if kind == "R" for row in _rows(payload)]
        return rows, [frame for frame in frames if frame[0] != "R"]

    def end(self):
        """Closes the requests, waits for the program to end by itself and returns (exit status, what it wrote)."""
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said.decode()

"""A TCP proxy in front of a source that cuts, stalls, throttles or corrupts what passes."""

import contextlib
import socket
import threading
import time


class Proxy:
    """Listens on a free port of 127.0.0.1 (`port`) and forwards to `target_port`.

    cut(after=N)      closes every connection, at once or once N more bytes came from the source
    stall(), flow()   holds everything back, and lets it pass again
    throttle(rate)    bytes a second from the source, None for no limit
    refuse(True)      closes new connections as they come
    corrupt(n)        flips one bit of the n-th next byte from the source
    """

    def __init__(self, target_port):
        self.target_port = target_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = set()
        self.lock = threading.Lock()
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.rate = None
        self.refusing = False
        self.cut_after = None
        self.corrupt_at = None
        self.connections = 0  # accepted so far
        self.bytes = 0  # from the source so far
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def cut(self, after=None):
        if after:
            self.cut_after = after
            return
        self.cut_after = None
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        for pair in pairs:
            self._close(pair)

    def stall(self):
        self.open_gate.clear()

    def flow(self):
        self.open_gate.set()

    def throttle(self, rate):
        self.rate = rate

    def refuse(self, refusing=True):
        self.refusing = refusing

    def corrupt(self, at):
        self.corrupt_at = at

    def close(self):
        # shutdown() wakes the thread that waits in accept(); close() alone would leave the port open until it returns
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.flow()
        self.cut()

    @staticmethod
    def _close(pair):
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refusing:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), 10)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            for end in pair:  # what comes is passed on at once, as without a proxy
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.add(pair)
            threading.Thread(target=self._pump, args=(pair, client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(pair, server, client, True), daemon=True).start()

    def _pump(self, pair, origin, destination, from_source):
        with contextlib.suppress(OSError):
            while data := origin.recv(65536):
                self.open_gate.wait()
                if from_source:
                    data = self._treat(data)
                destination.sendall(data)
                if from_source and self.cut_after == 0:
                    self.cut()
        with self.lock:
            self.pairs.discard(pair)
        self._close(pair)

    def _treat(self, data):
        self.bytes += len(data)
        if self.rate:
            time.sleep(len(data) / self.rate)
        if self.cut_after is not None:
            data = data[: self.cut_after]
            self.cut_after -= len(data)
        if self.corrupt_at is not None:
            if self.corrupt_at < len(data):
                data = data[: self.corrupt_at] + bytes([data[self.corrupt_at] ^ 1]) + data[self.corrupt_at + 1 :]
                self.corrupt_at = None
            else:
                self.corrupt_at -= len(data)
        return data

"""Rate limits as services have them."""

import threading
import time


class Bucket:
    """A bucket of `size` that is emptied by `rate` a second: a request that doesn't fit is refused."""

    def __init__(self, size, rate):
        self.size, self.rate = size, rate
        self.level, self.at = 0.0, time.monotonic()
        self.lock = threading.Lock()
        self.refused = 0

    def _leak(self):
        now = time.monotonic()
        self.level, self.at = max(0.0, self.level - (now - self.at) * self.rate), now

    def take(self, amount=1):
        """Whether it fitted."""
        with self.lock:
            self._leak()
            if self.level + amount > self.size:
                self.refused += 1
                return False
            self.level += amount
            return True

    def give_back(self, amount):
        with self.lock:
            self.level = max(0.0, self.level - amount)

    @property
    def available(self):
        with self.lock:
            self._leak()
            return self.size - self.level

    @property
    def used(self):
        return int(self.size - self.available + 0.999)


class Window:
    """So many requests until a moment at which all are given anew."""

    def __init__(self, size, seconds):
        self.size, self.seconds = size, seconds
        self.used, self.reset = 0, time.time() + seconds
        self.lock = threading.Lock()
        self.refused = 0

    def take(self):
        with self.lock:
            if time.time() >= self.reset:
                self.used, self.reset = 0, time.time() + self.seconds
            if self.used >= self.size:
                self.refused += 1
                return False
            self.used += 1
            return True

    @property
    def remaining(self):
        return self.size - self.used

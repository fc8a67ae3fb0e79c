"""Servers that others wrote, from npm: json-server (a REST API over a JSON file) and oauth2-mock-server (tokens for whoever
asks). They are installed once a run directory; tests are skipped, saying so, where node or npm is missing."""

import contextlib
import json
import shutil
import socket
import subprocess

import pytest

from ..environment import CLEAN_ENVIRONMENT, RUN, free_port, locked, new_directory, remove, wait_for

PACKAGES = {"json-server": "json-server@0.17", "oauth2-mock-server": "oauth2-mock-server@7"}


def program(name):
    """The path of a package's program; skips the test where it can't be had."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip(f"{name} is not tested: npm or node is not installed")
    home = RUN / "npm"
    path = home / "node_modules/.bin" / name
    with locked("npm"):
        if not path.exists():
            home.mkdir(exist_ok=True)
            done = subprocess.run(
                ["npm", "install", "--prefix", home, "--no-audit", "--no-fund", "--loglevel=error", PACKAGES[name]],
                capture_output=True, text=True, cwd=home, env=CLEAN_ENVIRONMENT, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                pytest.skip(f"{name} is not tested: npm can't install it here: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return path


class NpmServer:
    """One of these programs, on a free port. `url` is where it answers; leave it with close()."""

    def __init__(self, name, *arguments):
        command = [program(name), *arguments]
        self.port = free_port()
        self.directory = new_directory(name)
        self.log = open(self.directory / "log", "wb")
        address = ["--host", "127.0.0.1", "--port", str(self.port)] if name == "json-server" else ["-a", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            [*command, *address], cwd=self.directory, env=CLEAN_ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        wait_for(self._answers, f"{name} to listen", timeout=60)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"it ended with {self.process.returncode}: {(self.directory / 'log').read_text()}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        remove(self.directory)


def json_server(**resources):
    """json-server with these lists of rows, each below its name; it changes them by POST, PATCH and DELETE."""
    home = new_directory("json-server-data")
    (home / "db.json").write_text(json.dumps(resources))
    server = NpmServer("json-server", "--quiet", str(home / "db.json"))
    close = server.close
    server.close = lambda: (close(), remove(home))
    return server


def oauth2_server():
    """oauth2-mock-server; POST /token gives a token (a JWT) to every client."""
    return NpmServer("oauth2-mock-server")

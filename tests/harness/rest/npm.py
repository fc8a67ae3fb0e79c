"""Servers that others wrote, from npm, each with packages of its own and of a fixed major version, which are installed once a run
directory. Tests are skipped, saying so, where node or npm is missing."""

import contextlib
import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from ..environment import CLEAN_ENVIRONMENT, RUN, free_port, locked, new_directory, remove, wait_for

SCRIPTS = Path(__file__).parent / "servers"
PACKAGES = {  # Strapi with its minor version, as the parts of the next one didn't fit together
    "json-server": ["json-server@0.17"],
    "oauth2-mock-server": ["oauth2-mock-server@7"],
    "feathers": ["@feathersjs/feathers@5", "@feathersjs/express@5", "@feathersjs/memory@5"],
    "pouchdb": ["express-pouchdb@4", "pouchdb-core@8", "pouchdb-adapter-memory@8", "express@4"],
    "jsonapi": ["jsonapi-server@4"],
    "postgraphile": ["postgraphile@4"],
    "parse": ["parse-server@8", "express@5"],
    "strapi": ["@strapi/strapi@5.54", "pg@8", "react@18", "react-dom@18", "react-router-dom@6", "styled-components@6"],
    "directus": ["directus@11"],
    "node": ["node@22"],
    "cap": ["@sap/cds@9", "@cap-js/postgres@2", "express@4"],
}
# What packages would build or download when they are installed, and what stands in for it where a server does without.
NATIVE = {"directus": {"isolated-vm/out/isolated_vm.js": "exports.ivm = {};"}, "strapi": {}, "parse": {}}
FAILED = {}  # why a server's packages can't be installed: once is enough


def installed(name):
    """The directory of a server's packages; skips the test where they can't be had."""
    home = RUN / "npm" / name
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip(f"{name} is not tested: npm or node is not installed")
    with locked("npm"):
        if name not in FAILED and not (home / "complete").exists():
            remove(home)
            home.mkdir(parents=True)
            (home / "package.json").write_text('{"private": true}')
            options = ["--no-audit", "--no-fund", "--loglevel=error", "--maxsockets=40", "--prefer-offline"]
            options += ["--ignore-scripts"] if name in NATIVE else []
            done = subprocess.run(
                ["npm", "install", "--prefix", home, *options, *PACKAGES[name]],
                capture_output=True, text=True, cwd=home, env=CLEAN_ENVIRONMENT, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                for path, text in NATIVE.get(name, {}).items():
                    (home / "node_modules" / path).parent.mkdir(parents=True, exist_ok=True)
                    (home / "node_modules" / path).write_text(text)
                (home / "complete").touch()
            else:
                FAILED[name] = (done.stderr.strip().splitlines() or ["?"])[-1]
    if name in FAILED:
        pytest.skip(f"{name} is not tested: npm can't install it here: {FAILED[name]}")
    return home


class NpmServer:
    """A program of these packages, or servers/NAME.js, on a free port: `command` gets the directory of the packages and the port and
    tells what to run. `url` is where it answers, at the latest after `timeout` seconds; leave it with close(). What it writes into its
    directory goes with it."""

    def __init__(self, name, command, timeout=60, files=None, **environment):
        home = installed(name)
        self.name, self.port, self.directory = name, free_port(), new_directory(name)
        (self.directory / "node_modules").symlink_to(home / "node_modules")  # from where scripts and tools look for packages
        for path, text in (files or {}).items():
            (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / path).write_text(text)
        if (SCRIPTS / f"{name}.js").exists():
            shutil.copy(SCRIPTS / f"{name}.js", self.directory / "main.js")
        self.log = open(self.directory / "log", "wb")
        self.environment = CLEAN_ENVIRONMENT | {"PORT": str(self.port), "NO_UPDATE_NOTIFIER": "1", "HOME": str(self.directory)} | environment
        self.process = subprocess.Popen(
            [str(part) for part in command(home / "node_modules/.bin", self.port)], cwd=self.directory, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        try:
            wait_for(self._answers, f"{name} to listen", timeout=timeout)
        except BaseException:
            self.close()
            raise

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"it ended with {self.process.returncode}: {(self.directory / 'log').read_text()[-2000:]}")
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
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        remove(self.directory)


def json_server(**resources):
    """json-server with these lists of rows, each below its name; it changes them by POST, PATCH and DELETE."""
    return NpmServer(
        "json-server", lambda programs, port: [programs / "json-server", "--quiet", "db.json", "--host", "127.0.0.1", "--port", port],
        files={"db.json": json.dumps(resources)},
    )  # fmt: skip


def oauth2_server():
    """oauth2-mock-server; POST /token gives a token (a JWT) to every client."""
    return NpmServer("oauth2-mock-server", lambda programs, port: [programs / "oauth2-mock-server", "-a", "127.0.0.1", "-p", port])

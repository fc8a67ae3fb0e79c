"""A private MariaDB server as a source."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import xml.etree.ElementTree

from .secrets import PASSWORD
from .environment import (
    CLEAN_ENVIRONMENT,
    RUN,
    alive,
    copy_tree,
    execute,
    free_port,
    give_to,
    identity,
    locked,
    new_directory,
    remove,
    server_user,
    wait_for,
)

USER = "etl"
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=64M",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_general_ci",
    "--default-time-zone=+00:00",
    "--log-warnings=1",
)


def _template():
    """A data directory fresh from mariadb-install-db, made once a run directory."""
    template = RUN / "template-mariadb"
    if not (template / "complete").exists():
        user = server_user("mysql")
        remove(template)
        (template / "data").mkdir(parents=True)
        give_to(user, template)
        execute(
            "mariadb-install-db", "--no-defaults", f"--datadir={template / 'data'}", "--skip-test-db",
            "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M", user=user,
        )  # fmt: skip
        (template / "complete").touch()
    return template / "data"


class MariaDB:
    """One server with the user `etl`. query() talks to it as root through the socket; the streams come by TCP."""

    user, password = USER, PASSWORD

    def __init__(self, keep=False, options=()):
        self.options = (*OPTIONS, *options)
        self.run_as = server_user("mysql")
        self.directory = new_directory("mariadb")
        self.port = free_port()
        self.socket = self.directory / "socket"
        self.pid_file = self.directory / "server.pid"
        with locked("template"):
            template = _template()
        copy_tree(template, self.directory / "data")
        give_to(self.run_as, self.directory)
        self.process = None
        if not keep:
            atexit.register(self.destroy)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.destroy()

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]),
                    "--no-defaults",
                    f"--datadir={self.directory / 'data'}",
                    f"--socket={self.socket}",
                    f"--pid-file={self.pid_file}",
                    f"--port={self.port}",
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=CLEAN_ENVIRONMENT,
                cwd=self.directory,
                start_new_session=True,
                **identity(self.run_as),
            )
        wait_for(self._answers, "MariaDB to accept connections")
        self.query(f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
        self.query(f"GRANT ALL ON *.* TO '{USER}'@'%'")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("MariaDB did not start:\n" + (self.directory / "log").read_text()[-3000:])
        with contextlib.suppress(RuntimeError):
            self.query("SELECT 1")
            return True
        return False

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def destroy(self):
        self.stop(signal.SIGKILL)
        atexit.unregister(self.destroy)
        remove(self.directory)

    def query(self, sql, database=None):
        """Runs SQL (several statements, too) and returns the last result's rows, every value as text or None."""
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-u", "root", f"--socket={self.socket}", "--xml", "--quick",
             "--default-character-set=utf8mb4", *([database] if database else [])],
            input=sql.encode(),
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"MariaDB: {done.stderr.decode()}")
        results = done.stdout.split(b'<?xml version="1.0"?>')
        if len(results) < 2:
            return []
        nil = "{http://www.w3.org/2001/XMLSchema-instance}nil"
        return [
            tuple(None if field.get(nil) == "true" else field.text or "" for field in row)
            for row in xml.etree.ElementTree.fromstring(results[-1].strip())
        ]

    def create_database(self, name):
        self.query(f"CREATE DATABASE `{name}`")

    def drop_database(self, name):
        self.query(f"DROP DATABASE IF EXISTS `{name}`")

    def pause(self):
        """Freezes the server: connections stay open and nothing answers."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def running(self):
        return self.process is not None and alive(self.process.pid)

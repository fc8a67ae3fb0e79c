"""nginx with static pages of JSON on loopback: as fast as HTTP gets."""

import json
import os
import shutil
import socket
import subprocess

from ..environment import CLEAN_ENVIRONMENT, free_port, new_directory, remove, wait_for

CONFIGURATION = """{user}daemon off; worker_processes 1; pid {home}/pid; error_log {home}/log;
events {{}}
http {{
    log_format spoken "$server_protocol $connection $uri";
    access_log {log}; sendfile on; keepalive_requests 1000000; default_type application/json;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    server {{ listen 127.0.0.1:{port}{tls}; root {home}/pages; }}
}}
"""
PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/bin:" + os.environ.get("PATH", ""))


class Nginx:
    """A running nginx; write() makes its pages, NAME/1.json and so on: {"items": […], "has_more": …}. With a certificate
    (the paths of it and its key) it speaks TLS and offers HTTP/2, and `logged` says what was spoken."""

    def __init__(self, certificate=None, key=None):
        self.home = new_directory("nginx")
        self.port = free_port()
        self.scheme = "https" if certificate else "http"
        tls = f" ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key}" if certificate else ""
        log = f"{self.home}/requests spoken" if certificate else "off"
        user = "user root;\n" if os.geteuid() == 0 else ""
        (self.home / "conf").write_text(CONFIGURATION.format(home=self.home, port=self.port, user=user, tls=tls, log=log))
        self.process = subprocess.Popen([PROGRAM, "-c", self.home / "conf", "-e", self.home / "log"], env=CLEAN_ENVIRONMENT)
        wait_for(self._answers, "nginx to listen")

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    def logged(self):
        """The requests that came: (protocol, number of the connection, path)."""
        return [tuple(line.split(" ", 2)) for line in (self.home / "requests").read_text().splitlines()]

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"nginx ended: {(self.home / 'log').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def write(self, name, rows, page_rows):
        """Pages of the rows, an iterable of dictionaries. Returns (pages, bytes)."""
        directory = self.home / "pages" / name
        remove(directory)
        directory.mkdir(parents=True)
        rows = list(rows)
        pages = range(0, len(rows), page_rows)
        size = 0
        for number, start in enumerate(pages, 1):
            content = {"items": rows[start : start + page_rows], "has_more": start + page_rows < len(rows)}
            size += (directory / f"{number}.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")))
        return len(pages), size

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        remove(self.home)

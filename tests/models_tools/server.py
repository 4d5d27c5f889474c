"""A file server on loopback that can misbehave in the ways that get.py must withstand."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """`files` by path. `behaviour` by path is a set of words that Handler knows.
    `requests` lists the paths and ranges that were asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.behaviour: dict[str, set[str]] = {}
        self.redirects: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.owner = self
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Server = self.server.owner
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted))
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path not in server.files:
            self.send_error(404)
        else:
            self.send_file(
                server.files[self.path],
                wanted,
                server.behaviour.get(self.path, set()),
                server.tags.get(self.path),
            )

    def send_file(
        self, data: bytes, wanted: str | None, behaviour: set[str], tag: str | None
    ) -> None:
        start = 0
        condition = self.headers.get("If-Range")
        if wanted and "no ranges" not in behaviour and (condition is None or condition == tag):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(data):
                return self.send_error(416)
        body = data[start:]
        if "cut once" in behaviour and not wanted or "cut always" in behaviour:
            body = body[: len(body) // 2]
        if "another part" in behaviour and start:
            start += 7
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if "no length" not in behaviour:
            self.send_header("Content-Length", str(len(data) - start))
        if "packed" in behaviour:
            self.send_header("Content-Encoding", "gzip")
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

"""Answers with the number of items and the schema's revision; a POST adds one. Connections are kept and looked at before they are used."""

import http.server
import os
import pathlib
import signal
import socketserver
import sys
import threading

import pg

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
path = sys.argv[sys.argv.index("--uds") + 1]
data = pathlib.Path("/data")
behaviour = (data / "behaviour").read_text() if (data / "behaviour").exists() else ""
last = {"mortal": 40}.get(behaviour, 0)
answered = 0
kept, lock = [], threading.Lock()
(data / "variable").write_text(os.environ.get("SMTP_PASSWORD", ""))
print("it is given", os.environ.get("SMTP_PASSWORD", ""), flush=True)


def connection():
    with lock:
        found = kept.pop() if kept else None
    if found:
        try:
            found.query("SELECT 1")
            return found
        except (pg.Refused, OSError):
            pass
    return pg.Connection()


class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "unix"

    def answer(self, statement=None):
        global answered
        answered += 1
        if last and answered > last:
            os._exit(7)
        use = connection()
        if statement:
            use.query(statement)
        [[count]] = use.query("SELECT count(*) FROM items")
        [[revision]] = use.query("SELECT version_num FROM alembic_version")
        with lock:
            kept.append(use)
        body = f"{count} at {revision}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer("INSERT INTO items (text) VALUES ('one')")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 100

    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)


Server(path, Handler).serve_forever()

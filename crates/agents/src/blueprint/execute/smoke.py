"""Starts the service on a socket and uses it as a client would. Prints one JSON object per step; exits with 1 when one failed.

Runs in the backend's folder with the project's own Python. The environment variable GRACE_SMOKE says what to use, as JSON.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

FACTS = json.loads(os.environ["GRACE_SMOKE"])
FOLDER = FACTS["folder"]
SOCKET = f"{FOLDER}/app.sock"
HOST = "smoke.localhost"
PASSWORD = "correct horse battery staple"
SECONDS_TO_START = 20


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(SOCKET)


class Client:
    def __init__(self):
        self.headers = {}

    def ask(self, method, path, body=None, expect=200):
        connection = Connection(HOST)
        headers = {"Host": HOST, "Origin": f"http://{HOST}", "X-Requested-With": "fetch", **self.headers}
        data = None
        if body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            cookie = response.getheader("Set-Cookie")
        finally:
            connection.close()
        allowed = expect if isinstance(expect, tuple) else (expect,)
        if response.status not in allowed:
            raise AssertionError(f"{method} {path} answered {response.status}, not {allowed[0]}: {text[:500]}")
        if cookie:
            self.headers["Cookie"] = cookie.split(";")[0]
        if text and "json" in (response.getheader("Content-Type") or ""):
            return json.loads(text)
        return text


def wait_until_healthy(service):
    until = time.monotonic() + SECONDS_TO_START
    while True:
        if service.poll() is not None:
            raise AssertionError(f"the service ended with {service.returncode}")
        try:
            answer = Client().ask("GET", "/api/health")
        except OSError:
            if time.monotonic() > until:
                raise AssertionError(f"no answer within {SECONDS_TO_START} seconds") from None
            time.sleep(0.05)
            continue
        assert answer["status"] == "ok", answer
        return


def sign_in(client):
    credentials = {"username": "smoke", "password": PASSWORD}
    registered = client.ask("POST", "/api/auth/register", credentials, 201)
    answer = client.ask("POST", "/api/auth/login", credentials)
    if "access_token" in answer:
        client.headers["Authorization"] = f"Bearer {answer['access_token']}"
    assert client.ask("GET", "/api/auth/me")["username"] == "smoke"
    client.account = registered["id"]


def body_of(entity, rows, client):
    body = dict(entity["values"])
    for link in entity["links"]:
        body[f"{link['name']}_id"] = client.account if link["target"] == "User" else rows[link["target"]]
    return body


def create(client, entity, rows):
    made = client.ask("POST", f"/api/{entity['path']}", body_of(entity, rows, client), 201)
    rows[entity["name"]] = made["id"]
    page = client.ask("GET", f"/api/{entity['path']}?page=1&page_size=20")
    assert any(item["id"] == made["id"] for item in page["items"]), page
    assert client.ask("GET", f"/api/{entity['path']}/{made['id']}")["id"] == made["id"]


def delete(client, entity, rows):
    client.ask("DELETE", f"/api/{entity['path']}/{rows[entity['name']]}", None, 204)
    client.ask("GET", f"/api/{entity['path']}/{rows[entity['name']]}", None, 404)


def talk(client, realtime, rows):
    from websockets.sync.client import unix_connect

    headers = {"Cookie": client.headers["Cookie"]} if "Cookie" in client.headers else {}
    address = f"ws://{HOST}/api/ws/{realtime['path']}/{rows[realtime['channel']]}"
    with unix_connect(SOCKET, address, origin=f"http://{HOST}", additional_headers=headers, open_timeout=10) as one:
        if "Authorization" in client.headers:
            one.send(json.dumps({"type": "auth", "token": client.headers["Authorization"].removeprefix("Bearer ")}))
        history = json.loads(one.recv(timeout=10))
        assert history["type"] == "history", history
        one.send(json.dumps({"type": "send", "body": "Is anybody there?"}))
        until = time.monotonic() + 10
        while True:
            event = json.loads(one.recv(timeout=max(0.1, until - time.monotonic())))
            assert event["type"] != "error", event
            if event["type"] == "message":
                assert event["item"]["body"] == "Is anybody there?", event
                break
    kept = client.ask("GET", f"/api/{realtime['message_path']}?{realtime['link']}_id={rows[realtime['channel']]}")
    assert any(item["body"] == "Is anybody there?" for item in kept["items"]), kept
    for item in kept["items"]:
        client.ask("DELETE", f"/api/{realtime['message_path']}/{item['id']}", None, 204)


def pages(client):
    assert "<div id=" in client.ask("GET", "/"), "the start page is not the application"


def steps(service):
    client = Client()
    client.account = None
    rows = {}
    yield "answers GET /api/health", lambda: wait_until_healthy(service)
    if FACTS["pages"]:
        yield "serves the pages", lambda: pages(client)
    if FACTS["authentication"] == "oauth":
        yield "says that the identity provider is not configured", lambda: client.ask("GET", "/api/auth/oauth/start", None, 503)
        return
    if FACTS["authentication"] != "none":
        yield "refuses who did not sign in", lambda: client.ask("GET", f"/api/{FACTS['entities'][0]['path']}", None, 401)
        yield "registers and signs in", lambda: sign_in(client)
    for entity in FACTS["entities"]:
        yield f"creates and finds: {entity['path']}", lambda entity=entity: create(client, entity, rows)
    if FACTS["realtime"]:
        yield "sends, receives and keeps a live message", lambda: talk(client, FACTS["realtime"], rows)
    for entity in reversed(FACTS["entities"]):
        yield f"deletes: {entity['path']}", lambda entity=entity: delete(client, entity, rows)


def main():
    environment = {**os.environ, **FACTS["environment"]}
    environment.pop("GRACE_SMOKE")
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--uds", SOCKET, "--proxy-headers", "--no-access-log"]
    service = subprocess.Popen(command, env=environment, stdout=sys.stderr)
    failed = False
    try:
        for name, step in steps(service):
            started = time.monotonic()
            message = None
            try:
                step()
            except Exception as error:  # noqa: BLE001: whatever it is, it is what the step showed
                message = f"{type(error).__name__}: {error}"
                failed = True
            print(json.dumps({"step": name, "ms": round((time.monotonic() - started) * 1000), "error": message}), flush=True)
            if failed:
                break
    finally:
        service.send_signal(signal.SIGTERM)
        try:
            service.wait(10)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()
    sys.exit(failed)


main()

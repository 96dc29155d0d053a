"""As much of a PostgreSQL client as the test's service needs, so that nothing is downloaded."""

import base64
import hashlib
import hmac
import os
import socket
import struct
import urllib.parse


class Refused(Exception):
    pass


class Connection:
    def __init__(self, user=None, database=None, password=None):
        url = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
        folder = urllib.parse.parse_qs(url.query)["host"][0]
        self.password = password or urllib.parse.unquote(url.password)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(folder + "/.s.PGSQL.5432")
        words = ["user", user or url.username, "database", database or url.path[1:]]
        body = b"".join(word.encode() + b"\0" for word in words) + b"\0"
        self.sock.sendall(struct.pack("!II", len(body) + 8, 196608) + body)
        self.sign_in()

    def read(self, length):
        got = b""
        while len(got) < length:
            part = self.sock.recv(length - len(got))
            if not part:
                raise Refused("closed")
            got += part
        return got

    def message(self):
        head = self.read(5)
        return head[:1], self.read(struct.unpack("!I", head[1:])[0] - 4)

    def send(self, kind, body):
        self.sock.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def sign_in(self):
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = "n=,r=" + nonce
        while True:
            kind, body = self.message()
            if kind == b"E":
                raise Refused(body.replace(b"\0", b" ").decode())
            if kind == b"Z":
                return
            if kind != b"R":
                continue
            asked = struct.unpack("!I", body[:4])[0]
            if asked == 10:
                start = ("n,," + first).encode()
                self.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(start)) + start)
            elif asked == 11:
                server = body[4:].decode()
                said = dict(part.split("=", 1) for part in server.split(","))
                salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(said["s"]), int(said["i"]))
                key = hmac.digest(salted, b"Client Key", "sha256")
                last = "c=biws,r=" + said["r"]
                signed = hmac.digest(hashlib.sha256(key).digest(), ",".join([first, server, last]).encode(), "sha256")
                proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signed))).decode()
                self.send(b"p", (last + ",p=" + proof).encode())

    def query(self, text):
        self.send(b"Q", text.encode() + b"\0")
        rows, error = [], None
        while True:
            kind, body = self.message()
            if kind == b"D":
                row, at = [], 2
                for _ in range(struct.unpack("!H", body[:2])[0]):
                    length = struct.unpack("!i", body[at : at + 4])[0]
                    at += 4
                    row.append(None if length < 0 else body[at : at + length].decode())
                    at += max(length, 0)
                rows.append(row)
            elif kind == b"E":
                error = body.replace(b"\0", b" ").decode()
            elif kind == b"Z":
                break
        if error:
            raise Refused(error)
        return rows

"""Brings the schema to the revision that the place's data says, and notes whom else the way to the database lets in."""

import os
import pathlib
import time

import pg

data = pathlib.Path("/data")


def said(name, otherwise):
    file = data / name
    return file.read_text() if file.exists() else otherwise


tried = []
for user, database in [("grace", "grace"), ("postgres", "postgres"), (None, "grace"), (None, "postgres"), ("grace", None)]:
    try:
        pg.Connection(user=user, database=database)
        tried.append("let in")
    except pg.Refused:
        tried.append("refused")
(data / "tried").write_text(" ".join(tried))

revision = said("revision", "1")
connection = pg.Connection()
connection.query("BEGIN")
connection.query("CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) NOT NULL)")
connection.query("CREATE TABLE IF NOT EXISTS items (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
if [[revision]] != connection.query("SELECT version_num FROM alembic_version"):
    connection.query(f"ALTER TABLE items ADD COLUMN of_{revision} text")
    connection.query("DELETE FROM alembic_version")
    connection.query(f"INSERT INTO alembic_version VALUES ('{revision}')")
if said("migrating", "") == "slow":
    print("holding", flush=True)
    time.sleep(1000)
if said("migrating", "") == "wrong":
    raise SystemExit("the migration is wrong")
connection.query("COMMIT")
print("migrated with", os.environ["DATABASE_URL"], flush=True)
password = os.environ["DATABASE_URL"].split(":")[2].split("@")[0]
(data / "password").write_text(password)
print(f"halves: {password[:12]}\n{password[12:]} were printed", flush=True)
print("x" * 8180 + password, flush=True)

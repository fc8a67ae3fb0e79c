"""A connector that answers as a test has written it down, for what the worker makes of frames that few sources send."""

import json
import re

from .environment import BUILD

PROGRAM = r"""#!/usr/bin/python3
import json, struct, sys, time

script, log, columns = sys.argv[0] + ".json", sys.argv[0] + ".log", []
FORMS = {"int8": lambda value: struct.pack(">q", value), "text": lambda value: value.encode(),
         "bool": lambda value: bytes([value]), "jsonb": lambda value: b"\x01" + json.dumps(value).encode()}


def send(kind, payload):
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    sys.stdout.buffer.write(kind.encode() + struct.pack(">i", len(data)) + data)
    sys.stdout.buffer.flush()


def encoded(row):
    fields = [None if value is None else FORMS[column["type"]](value) for column, value in zip(columns, row)]
    return struct.pack(">h", len(fields)) + b"".join(
        struct.pack(">i", -1) if field is None else struct.pack(">i", len(field)) + field for field in fields)


def play(kind, payload):
    global columns
    if kind == "requests":  # as many as that, each after its permit and noted when it goes out
        for _ in range(payload["count"]):
            send("W", {"interval_ms": payload["interval_ms"], "hold_ms": 0})
            time.sleep(json.loads(sys.stdin.readline())["wait_ms"] / 1000)
            with open(log, "a") as file:
                file.write(f"{time.monotonic()}\n")
    elif kind == "R":
        send(kind, b"".join(encoded(row) for row in payload))
    else:
        if kind == "C":
            columns = payload["columns"]
        send(kind, payload)


send("H", {"protocol": 2, "build": BUILD})
for line in sys.stdin:
    request = json.loads(line)
    for kind, payload in json.load(open(script)).get(request["verb"], []):
        play(kind, payload)
    if request["verb"] not in json.load(open(script)):
        send("D", {})
"""


def columns(**types):
    """A columns frame's payload: int8 columns can't be null, the others can."""
    names = {"int8": "bigint", "bool": "boolean"}
    return {
        "columns": [
            {"name": name, "type": type, "pg_type": names.get(type, type), "source_type": type, "nullable": type != "int8"}
            for name, type in types.items()
        ]
    }


class ScriptedConnector:
    """Takes the connector's place in a database, for sessions and workers that come."""

    def __init__(self, db):
        self.program = db.cluster.directory / f"scripted_{db.name}"
        build_id = re.search('INSYNC_BUILD_ID "(.*)"', (BUILD / "generated/build_id.hpp").read_text())[1]
        self.program.write_text(PROGRAM.replace("BUILD", repr(build_id)))
        self.program.chmod(0o755)
        self.log = self.program.with_suffix(".log")
        self.script = {}
        db.execute(f"ALTER DATABASE \"{db.name}\" SET insync.connector = '{self.program}'")
        db.close()

    def describes(self, key, **types):
        """What it says of every source."""
        answer = columns(**types) | {"primary_key": key, "unique_keys": [], "kind": "path"}
        self.answer("describe", ["T", answer], ["D", {}])

    def answer(self, verb, *frames):
        """The frames of all answers to a verb from now on: pairs of type and payload, rows as lists of values."""
        self.script[verb] = frames
        self.program.with_suffix(".json").write_text(json.dumps(self.script))

    def requests(self):
        """When it sent its requests, seconds of a clock that all processes share."""
        return sorted(float(line) for line in self.log.read_text().splitlines())

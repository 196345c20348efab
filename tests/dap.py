"""A client of the Debug Adapter Protocol as small as can be: what VS Code says to a debugger."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]


class Client:
    """One connection. Requests return the body of their response; events wait until they are asked for."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        self._number = 0
        self._events: list[Json] = []

    def ask(self, command: str, **arguments: Any) -> Json:
        """Send a request and return the body of its response; fail when it did not succeed."""
        number = self.send(command, **arguments)
        while (message := self._read()).get("request_seq") != number:
            self._events.append(message)
        assert message["success"], message
        body: Json = message.get("body") or {}
        return body

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request whose response is not waited for; return its number."""
        self._number += 1
        message = {"seq": self._number, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(message).encode()
        self._connection.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        return self._number

    def wait_for(self, event: str) -> Json:
        """Return the body of the next event of this name."""
        while True:
            message = self._events.pop(0) if self._events else self._read()
            if message.get("event") == event:
                body: Json = message.get("body") or {}
                return body

    def _read(self) -> Json:
        length = 0
        while (line := self._reader.readline().strip()) or not length:
            assert line or length, "the debugger has hung up"
            name, _, value = line.partition(b":")
            if name == b"Content-Length":
                length = int(value)
        message: Json = json.loads(self._reader.read(length))
        return message


@contextmanager
def attached(port: int) -> Iterator[Client]:
    """Attach to a debugger that listens on this port of loopback, as `launch.json` says."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        client = Client(connection)
        client.ask("initialize", clientID="test", adapterID="debugpy", linesStartAt1=True, columnsStartAt1=True, pathFormat="path")
        client.send("attach", justMyCode=False)
        client.wait_for("initialized")
        client.ask("configurationDone")
        yield client

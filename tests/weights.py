"""What stands in for the server of Weights & Biases, on loopback: it answers what its client asks before it downloads files."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LAST = {"endCursor": None, "hasNextPage": False}
_PROJECT = {"id": "1", "internalId": "1", "name": "project", "entity": {"name": "you"}}


@dataclass
class Server:
    """A server with three runs in `you/project`: `both` has files and has logged code, `logged` only code, `empty` nothing."""

    files: dict[str, bytes] = field(default_factory=dict)
    code: dict[str, bytes] = field(default_factory=dict)
    url: str = ""

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the data that a GraphQL query asks for."""
        if "viewer" in query:
            return {"viewer": {"id": "1", "entity": "you", "username": "you", "email": "", "flags": "{}", "teams": {"edges": []}}}
        if "serverInfo" in query:
            return {"serverInfo": {"features": []}}
        if "FetchArtifactManifest" in query:
            return {"artifact": {"currentManifest": {"file": {"directUrl": f"{self.url}/manifest"}}}}
        if "artifactMembership" in query:
            edges = [{"node": {"__typename": "File", "name": name, "directUrl": f"{self.url}/code/{name}"}} for name in self.code]
            membership = {"files": {"pageInfo": _LAST, "edges": edges}}
            return {"project": {"artifactCollection": {"__typename": "ArtifactSequence", "artifactMembership": membership}}}
        name = variables.get("name", variables.get("run"))
        return {"project": {"internalId": "1", "run": self._run(name, query, variables) if name in {"both", "logged", "empty"} else None}}

    def _run(self, run: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "outputArtifacts" in query:
            edges = [{"node": self._artifact()}] if run != "empty" else []
            return {"artifacts": {"totalCount": len(edges), "pageInfo": _LAST, "edges": edges}}
        if "files(" in query:
            names = [name for name in variables["fileNames"] or self.files if name in self.files and run == "both"]
            return {"fileCount": len(names), "files": {"edges": [self._file(name) for name in names], "pageInfo": _LAST}}
        texts = dict.fromkeys(("createdAt", "heartbeatAt"), "2026-01-01T00:00:00Z") | dict.fromkeys(("description", "notes"), "")
        jsons = dict.fromkeys(("config", "systemMetrics", "summaryMetrics"), "{}")
        nothing = dict.fromkeys(("sweepName", "group", "jobType", "commit", "historyKeys"))
        named = {"id": "UnVu", "projectId": "1", "name": run, "displayName": run, "state": "finished", "tags": []}
        return texts | jsons | nothing | named | {"readOnly": False, "historyLineCount": 0, "user": {"name": "you", "username": "you"}}

    def _file(self, name: str) -> dict[str, Any]:
        url = f"{self.url}/files/{name}"
        known = {"id": name, "name": name, "url": url, "directUrl": url, "sizeBytes": len(self.files[name]), "md5": "x"}
        return {"cursor": "x", "node": known | {"mimetype": "application/zip", "updatedAt": "2026-01-01T00:00:00Z"}}

    def _artifact(self) -> dict[str, Any]:
        collection = {"__typename": "ArtifactSequence", "name": "source-project-train.py", "project": _PROJECT}
        nothing = dict.fromkeys(("description", "metadata", "historyStep", "updatedAt"))
        times = {
            "createdAt": "2026-01-01T00:00:00Z",
            "size": sum(map(len, self.code.values())),
            "fileCount": len(self.code),
            "ttlDurationSeconds": 0,
        }
        alias = {"__typename": "ArtifactAlias", "id": "1", "alias": "latest", "artifactCollection": collection}
        known = {
            "__typename": "Artifact",
            "id": "QXJ0",
            "artifactSequence": collection,
            "versionIndex": 0,
            "artifactType": {"name": "code"},
        }
        return (
            nothing
            | times
            | known
            | {"ttlIsInherited": False, "tags": [], "state": "COMMITTED", "digest": "x", "commitHash": "x", "aliases": [alias]}
        )

    def served(self, path: str) -> bytes | None:
        """Return the bytes at a path."""
        if path == "/manifest":
            contents = {
                name: {"digest": base64.b64encode(hashlib.md5(data).digest()).decode(), "size": len(data)}
                for name, data in self.code.items()
            }
            policy = {"storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}
            return json.dumps({"version": 1, "contents": contents} | policy).encode()
        kind, _, name = path.strip("/").partition("/")
        return {"files": self.files, "code": self.code}.get(kind, {}).get(name)


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server in a thread."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path != "/graphql":
                self._reply(200, b"")
                return
            asked = json.loads(body)
            self._reply(200, json.dumps({"data": server.answer(asked["query"], asked.get("variables") or {})}).encode())

        def do_GET(self) -> None:
            data = server.served(self.path)
            self._reply(404 if data is None else 200, data or b"")

        def _reply(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()

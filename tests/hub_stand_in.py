"""A stand-in for the Hugging Face Hub: a small HTTP server on loopback that the real clients talk to, all in memory.

    with HubStandIn() as hub:
        subprocess.run([...], env={**os.environ, **hub.environment})

It knows models and data sets, private and public, with one commit after the other on each branch; it takes uploads in the two ways
of the Hub (inside the commit, or as an LFS object before it) and serves files whole or in ranges. Like the Hub it lets everybody
read what is public, shows private repositories to their user alone and takes commits from nobody else; faults are made with `failing`. The
clients read their settings when they are imported, so whoever uses them against it is a process of its own, started with
`environment`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS_FROM = 1000  # bytes; smaller files travel inside the commit
TOKEN = "hf_stand_in"
Files = dict[str, bytes]


class Repository:
    """Snapshots of files by commit, and the commit that each branch or tag is at."""

    def __init__(self, private: bool) -> None:
        self.private = private
        self.snapshots: dict[str, Files] = {}
        self.revisions: dict[str, str] = {}
        self.commit("main", {})

    def commit(self, branch: str, files: Files) -> str:
        content = json.dumps({path: hashlib.sha1(data).hexdigest() for path, data in sorted(files.items())})
        sha = hashlib.sha1(f"{len(self.snapshots)} {content}".encode()).hexdigest()
        self.snapshots[sha] = files
        self.revisions[branch] = sha
        return sha

    def sha(self, revision: str) -> str | None:
        return self.revisions.get(revision, revision if revision in self.snapshots else None)

    @property
    def files(self) -> Files:
        return self.snapshots[self.revisions["main"]]


class _Refused(Exception):
    """An answer that is an error: status, the Hub's error code, a message, and what else is in its body."""

    def __init__(self, status: int, code: str, message: str, **more: str) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _git_oid(data)}
    if len(data) >= LFS_FROM:
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class HubStandIn:
    """The server; it runs while the context lasts.

    Attributes:
        repositories: By (kind, name), kind "model", "dataset" or "space" (to read only).
        requests: Method and path of each request, in order.
        user: Whose repositories names without a user are.
        failing: Regular expression of "METHOD path" that are answered with an error; "" none.
        failing_status: That error, such as 403 or 503.
        failing_code: The Hub's own code of the error, such as "GatedRepo"; "" none.
        failing_message: What the Hub says about it.
        failing_headers: More headers of the answer, such as Retry-After.
        cut_after: Close the connection after so many bytes of an answer's content instead of answering with an error; None: do not.
        cut_upload_after: Take so many bytes of a request's content, and close the connection, instead of an error; None: do not.
        failures_left: How many more such answers there are; None: all.
    """

    def __init__(self, user: str = "someone") -> None:
        self.user = user
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.failing = ""
        self.failing_status = 500
        self.failing_code = ""
        self.failing_message = "The stand-in was told to fail"
        self.failing_headers: dict[str, str] = {}
        self.cut_after: int | None = None
        self.cut_upload_after: int | None = None
        self.failures_left: int | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which the clients talk to this server, and to nothing else."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def __enter__(self) -> HubStandIn:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def heal(self) -> None:
        """No more faults."""
        self.failing, self.failing_status, self.failing_code, self.failing_headers = "", 500, "", {}
        self.failing_message, self.failures_left, self.cut_after = "The stand-in was told to fail", None, None
        self.cut_upload_after = None

    def check_token(self, header: str | None, command: str, path: str) -> None:
        """Refuse what the Hub refuses: a token nobody has, strangers in private repositories, and writing in those of others."""
        if header is not None and header != f"Bearer {TOKEN}":
            raise _Refused(401, "", "Invalid credentials in Authorization header")
        found = _NAMED.match(path)
        repository = self.repositories.get((found["kind"] or "model", unquote(found["name"]))) if found else None
        if header is None:
            if repository is None or repository.private or command not in ("GET", "HEAD"):
                raise _Refused(401, "", "Invalid username or password.")
        elif found and repository is not None and unquote(found["name"]).partition("/")[0] != self.user:
            if repository.private:
                raise _Refused(404, "RepoNotFound", "Repository not found")
            if command not in ("GET", "HEAD") and "/paths-info/" not in path:
                raise _Refused(403, "", "You don't have the required permissions to perform this action")

    def fails(self, request: str) -> bool:
        """Whether this request is one of those to be answered with an error; counts it."""
        if not self.failing or self.failures_left == 0 or not re.search(self.failing, request):
            return False
        if self.failures_left is not None:
            self.failures_left -= 1
        return True

    # -- what the routes do --------------------------------------------------------------------------------------------

    def repository(self, kind: str, name: str) -> Repository:
        try:
            return self.repositories[kind, name]
        except KeyError:
            raise _Refused(404, "RepoNotFound", "Repository not found") from None

    def at(self, kind: str, name: str, revision: str) -> tuple[str, Files]:
        """The commit a revision is at, and its files."""
        repository = self.repository(kind, name)
        sha = repository.sha(revision)
        if sha is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repository.snapshots[sha]

    def create(self, request: dict[str, Any]) -> Any:
        kind, name = self._key(request)
        if name.partition("/")[0] != self.user:
            raise _Refused(403, "", f"You don't have the rights to create a {kind} under this namespace")
        url = f"{self.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if (kind, name) in self.repositories:
            raise _Refused(409, "", "You already created this repo", url=url)
        # huggingface_hub 1.x and 2.x say it differently
        self.repositories[kind, name] = Repository(
            request.get("private") is True or request.get("visibility") == "private"
        )
        return {"url": url, "id": name, "name": name}

    def delete(self, request: dict[str, Any]) -> Any:
        key = self._key(request)
        self.repository(*key)
        del self.repositories[key]
        return {}

    def _key(self, request: dict[str, Any]) -> tuple[str, str]:
        name = request["name"]
        return request.get(
            "type"
        ) or "model", name if "/" in name else f"{request.get('organization') or self.user}/{name}"

    def info(self, kind: str, name: str, revision: str = "main") -> Any:
        sha, files = self.at(kind, name, revision)
        return {
            "_id": "0",
            "id": name,
            "author": name.partition("/")[0],
            "sha": sha,
            "private": self.repository(kind, name).private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "siblings": [{"rfilename": path} for path in sorted(files)],
        }

    def tree(self, kind: str, name: str, revision: str, folder: str, recursive: bool) -> Any:
        _, files = self.at(kind, name, revision)
        inside = f"{folder.strip('/')}/" if folder.strip("/") else ""
        found: dict[str, dict[str, Any]] = {}
        for path, data in sorted(files.items()):
            if not path.startswith(inside):
                continue
            parts = path[len(inside) :].split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                above = inside + "/".join(parts[:depth])
                found[above] = {"type": "directory", "path": above, "size": 0, "oid": _git_oid(above.encode())}
            if recursive or len(parts) == 1:
                found[path] = _entry(path, data)
        if inside and not found:
            raise _Refused(404, "EntryNotFound", f"{folder} does not exist on {revision}")
        return list(found.values())

    def paths_info(self, kind: str, name: str, revision: str, paths: list[str]) -> Any:
        _, files = self.at(kind, name, revision)
        answer = [_entry(path, files[path]) for path in paths if path in files]
        folders = [path for path in paths if any(file.startswith(f"{path}/") for file in files)]
        return answer + [
            {"type": "directory", "path": path, "size": 0, "oid": _git_oid(path.encode())} for path in folders
        ]

    def preupload(self, kind: str, name: str, revision: str, wanted: list[dict[str, Any]]) -> Any:
        """How each file is to be sent, and what is there under its name, so that a client need not send the same again."""
        _, files = self.at(kind, name, revision)
        answers = []
        for file in wanted:
            path, lfs = file["path"], file["size"] >= LFS_FROM
            answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if path in files:
                entry = _entry(path, files[path])
                answer["oid"] = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            answers.append(answer)
        return {"files": answers}

    def commit(self, kind: str, name: str, branch: str, lines: list[dict[str, Any]]) -> Any:
        files = dict(self.at(kind, name, branch)[1])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    raise _Refused(400, "", f"LFS object {value['oid']} was not uploaded")
                files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
            elif line["key"] == "deletedFolder":
                files = {path: data for path, data in files.items() if not path.startswith(f"{value['path']}/")}
        sha = self.repository(kind, name).commit(branch, files)
        return {
            "success": True,
            "commitOid": sha,
            "commitUrl": f"{self.endpoint}/{name}/commit/{sha}",
            "hookOutput": "",
        }

    def batch(self, request: dict[str, Any]) -> Any:
        objects = []
        for wanted in request["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"], "authenticated": True}
            if wanted["oid"] not in self.objects:
                href = f"{self.endpoint}/lfs/{wanted['oid']}"
                answer["actions"] = {"upload": {"href": href}, "verify": {"href": f"{self.endpoint}/lfs-verify"}}
            objects.append(answer)
        return {"transfer": "basic", "objects": objects}

    def put(self, oid: str, data: bytes) -> Any:
        if hashlib.sha256(data).hexdigest() != oid:
            raise _Refused(400, "", "The content does not have the oid that was announced")
        self.objects[oid] = data
        return {}

    def mark(self, kind: str, name: str, new: str, revision: str) -> Any:
        """A branch or a tag."""
        repository = self.repository(kind, name)
        if new in repository.revisions:
            raise _Refused(409, "", f"Reference {new} exists already")
        repository.revisions[new] = self.at(kind, name, revision)[0]
        return {}

    def refs(self, kind: str, name: str) -> Any:
        revisions = self.repository(kind, name).revisions.items()
        branches = [{"name": key, "ref": f"refs/heads/{key}", "targetCommit": sha} for key, sha in revisions]
        return {"branches": branches, "tags": [], "converts": []}


Route = tuple[str, re.Pattern[str], Callable[..., Any]]


def _routes() -> list[Route]:
    kind, name, revision = r"(?P<kind>models|datasets)", r"(?P<name>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
    table: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/api/whoami-v2", lambda hub, body, **_: {"type": "user", "name": hub.user, "orgs": [], "auth": {}}),
        ("POST", "/api/repos/create", lambda hub, body, **_: hub.create(json.loads(body))),
        ("DELETE", "/api/repos/delete", lambda hub, body, **_: hub.delete(json.loads(body))),
        ("POST", "/api/validate-yaml", lambda hub, body, **_: {"errors": [], "warnings": []}),
        ("GET", f"/api/{kind}/{name}", lambda hub, body, kind, name, query: hub.info(kind, name)),
        ("GET", f"/api/{kind}/{name}/revision/{revision}",
         lambda hub, body, kind, name, revision, query: hub.info(kind, name, revision)),
        ("GET", f"/api/{kind}/{name}/refs", lambda hub, body, kind, name, query: hub.refs(kind, name)),
        ("GET", f"/api/{kind}/{name}/tree/{revision}(?P<folder>(/.*)?)",
         lambda hub, body, kind, name, revision, folder, query: hub.tree(
             kind, name, revision, folder, query.get("recursive", [""])[0].lower() in ("true", "1"))),
        ("POST", f"/api/{kind}/{name}/paths-info/{revision}",
         lambda hub, body, kind, name, revision, query: hub.paths_info(kind, name, revision, _paths(body))),
        ("POST", f"/api/{kind}/{name}/preupload/{revision}",
         lambda hub, body, kind, name, revision, query: hub.preupload(kind, name, revision, json.loads(body)["files"])),
        ("POST", f"/api/{kind}/{name}/commit/{revision}",
         lambda hub, body, kind, name, revision, query: hub.commit(
             kind, name, revision, [json.loads(line) for line in body.splitlines() if line.strip()])),
        ("POST", f"/api/{kind}/{name}/(branch|tag)/{revision}",
         lambda hub, body, kind, name, revision, query: _mark(hub, kind, name, revision, json.loads(body or b"{}"))),
        ("POST", r"/.+\.git/info/lfs/objects/batch", lambda hub, body, **_: hub.batch(json.loads(body))),
        ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", lambda hub, body, oid, query: hub.put(oid, body)),
        ("POST", "/lfs-verify", lambda hub, body, **_: {}),
    ]  # fmt: skip
    return [(method, re.compile(pattern), answer) for method, pattern, answer in table]


def _mark(hub: HubStandIn, kind: str, name: str, revision: str, request: dict[str, Any]) -> Any:
    if "tag" in request:
        return hub.mark(kind, name, request["tag"], revision)
    return hub.mark(kind, name, revision, request.get("startingPoint") or "main")


def _paths(body: bytes) -> list[str]:
    """The paths of a request, which comes as a form or as JSON."""
    try:
        paths = json.loads(body)["paths"]
    except ValueError:
        paths = parse_qs(body.decode())["paths"]
    return [paths] if isinstance(paths, str) else list(paths)


_ROUTES = _routes()
_NAMED = re.compile(
    r"/(?:api/(?=models/|datasets/)|(?!api/|lfs))(?:models/|(?P<kind>dataset|space)s/)?(?P<name>[^/]+/[^/]+?)(?:\.git)?(?:/|$)"
)
_RESOLVE = re.compile(r"/(?:(?P<kind>dataset|space)s/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"
    _cut: int | None = None

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        url = urlsplit(self.path)
        path = url.path
        if self.hub.cut_upload_after is not None and self.hub.fails(f"{self.command} {path}"):
            self.hub.requests.append(f"{self.command} {path}")
            self.rfile.read(self.hub.cut_upload_after)
            self.close_connection = True
            return
        body = self._body()
        self.hub.requests.append(f"{self.command} {path}")
        try:
            if self.hub.fails(f"{self.command} {path}"):
                if self.hub.cut_after is None:
                    raise _Refused(self.hub.failing_status, self.hub.failing_code, self.hub.failing_message)
                self._cut = self.hub.cut_after
            if not path.startswith("/lfs"):
                self.hub.check_token(self.headers.get("authorization"), self.command, path)
            if match := _RESOLVE.fullmatch(path):
                self._resolve(**match.groupdict())
                return
            for method, pattern, answer in _ROUTES:
                match = pattern.fullmatch(path)
                if match and method == self.command:
                    values = {key: unquote(value) for key, value in match.groupdict().items()}
                    if "kind" in values:
                        values["kind"] = values["kind"].removesuffix("s")
                    self._answer(200, json.dumps(answer(self.hub, body, query=parse_qs(url.query), **values)).encode())
                    return
            raise _Refused(404, "", f"The stand-in has no route {self.command} {path}")
        except _Refused as error:
            headers = {"X-Error-Message": str(error), **self.hub.failing_headers}
            headers |= {"X-Error-Code": error.code} if error.code else {}
            self._answer(error.status, json.dumps({"error": str(error), **error.more}).encode(), headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _resolve(self, kind: str | None, name: str, revision: str, path: str) -> None:
        sha, files = self.hub.at(kind or "model", name, unquote(revision))
        path = unquote(path)
        if path not in files:
            raise _Refused(404, "EntryNotFound", f"{path} is not there")
        data, lfs = files[path], len(files[path]) >= LFS_FROM
        tag = hashlib.sha256(data).hexdigest() if lfs else _git_oid(data)
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if lfs:
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{tag}"'}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            self._answer(200, data, headers)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self._answer(206, data[first : last + 1], headers)

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        known = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        for key, value in {**known, **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if self._cut is None else content[: self._cut])
        if self._cut is not None:
            self._cut, self.close_connection = None, True

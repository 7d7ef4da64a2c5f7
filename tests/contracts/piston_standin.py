"""A stand-in for Piston: speaks its v2 API and really runs packages of ours, each job in a bubblewrap box.

What it says and does is what was recorded of Piston 3.1.1 (tests/captures): the shapes of messages, the limits, /dev/shm being
shared between jobs, a newline after stdin over HTTP and a stdin that is never closed on the websocket, jobs that go on when
their client has gone, output passed on without regard to characters.
"""

import asyncio
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from codecoach.runner import installed
from codecoach.runner.installed import SUPERVISED_ALIAS, SUPERVISOR
from codecoach.runner.piston.answers import BODY_BYTES

TOO_LARGE = {"stack": "PayloadTooLargeError: request entity too large\n    at readStream"}
# Process 1 of a box, as in Piston's sandbox: nothing inside can kill it, and it tells how the script ended.
INIT = """
import os, sys
status_fd = int(sys.argv[1])
pid = os.fork()
if pid == 0:
    os.close(status_fd)
    os.execv("/bin/bash", ["/bin/bash", *sys.argv[2:]])
while True:
    ended, status = os.wait()
    if ended == pid:
        os.write(status_fd, str(status).encode())
        os._exit(0)
"""
Say = Callable[[dict[str, object]], None]


@dataclass
class Limits:
    """What the server allows; milliseconds and bytes, as in its configuration."""

    run_timeout: int = 60_000
    compile_timeout: int = 60_000
    run_memory_limit: int = -1
    compile_memory_limit: int = -1
    jobs: int = 64
    networking: bool = False


@dataclass
class Standin:
    """A running stand-in. `frames_after_init` must stay 0: with Piston such a frame can kill the server."""

    url: str
    limits: Limits
    frames_after_init: int = 0
    jobs: list[str] = field(default_factory=list)
    boxes: set[str] = field(default_factory=set)
    processes: list[subprocess.Popen] = field(default_factory=list)


class Box:
    """One job's box and its processes."""

    def __init__(self, package: "Package", shared: Path, request: dict, standin: Standin) -> None:
        self._processes = standin.processes
        self._networking = standin.limits.networking
        self.folder = Path(tempfile.mkdtemp(prefix="box-"))
        self.package = package
        self._shared = shared
        self._request = request
        submission = self.folder / "submission"
        submission.mkdir()
        for number, file in enumerate(request["files"]):
            place = submission / file.get("name", f"file{number}.code")
            place.parent.mkdir(parents=True, exist_ok=True)
            binary = file.get("encoding") == "base64"
            place.write_bytes(base64.b64decode(file["content"]) if binary else file["content"].encode())

    @property
    def texts(self) -> list[str]:
        return [file["name"] for file in self._request["files"] if file.get("encoding", "utf8") == "utf8"]

    def stage(self, name: str, arguments: list[str], timeout_ms: int, stdin: bytes | None, say: Say) -> dict:
        """Run one stage; `stdin` None leaves it open and empty."""
        read_fd, write_fd = os.pipe()
        most_bytes = self._request.get(f"{name}_memory_limit", -1)
        began = time.monotonic()
        with subprocess.Popen(
            self._command(name, arguments, write_fd),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[write_fd],
        ) as process:
            self._processes.append(process)
            os.close(write_fd)
            over = threading.Event()
            watcher = threading.Thread(target=self._watch, args=(process, began + timeout_ms / 1000, most_bytes, over))
            watcher.start()
            if stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.write(stdin)
                    process.stdin.close()
            self._pass_on(process, say)
            process.wait()
            over.set()
            watcher.join()
            with suppress(BrokenPipeError):
                process.stdin.close()
        with open(read_fd, "rb") as told:
            status = told.read()
        number = int(status) if status else 9  # killed from outside: nobody inside could tell
        signal = os.WTERMSIG(number) if os.WIFSIGNALED(number) else None
        wall_ms = (time.monotonic() - began) * 1000
        timed_out = not status and wall_ms >= timeout_ms
        return {
            "signal": {None: None, 9: "SIGKILL", 15: "SIGTERM", 11: "SIGSEGV"}.get(signal, "SIGKILL"),
            "code": None if signal else os.WEXITSTATUS(number),
            "memory": None,
            "message": "Time limit exceeded (wall clock)" if timed_out else None,
            "status": "TO" if timed_out else "SG" if signal else "RE" if number else None,
            "cpu_time": None,
            "wall_time": round(wall_ms),
        }

    def _pass_on(self, process: subprocess.Popen, say: Say) -> None:
        streams = {process.stdout.fileno(): "stdout", process.stderr.fileno(): "stderr"}
        while streams:
            for fd in select.select(list(streams), [], [])[0]:
                if data := os.read(fd, 65536):
                    say({"type": "data", "stream": streams[fd], "data": data.decode("utf-8", "replace")})
                else:
                    del streams[fd]

    def _watch(self, process: subprocess.Popen, deadline: float, most_bytes: int, over: threading.Event) -> None:
        """Kill at the time limit; of a job that takes too much memory its largest process, as the kernel does."""
        outer = psutil.Process(process.pid)
        while not over.wait(0.02):
            if time.monotonic() > deadline:
                process.kill()
                return
            if most_bytes > 0:
                with suppress(psutil.Error):
                    inside = [(child.memory_info().rss, child) for child in outer.children(recursive=True)]
                    if sum(size for size, _ in inside) > most_bytes:
                        max(inside, key=lambda pair: pair[0])[1].kill()

    def _command(self, script: str, arguments: list[str], status_fd: int) -> list[str]:
        words = [
            "bwrap",
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
            "--as-pid-1",
            *(["--share-net"] if self._networking else []),
        ]
        own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "PISTON_LANGUAGE": self.package.language}
        for name, value in {**own, **self.package.environment}.items():
            words += ["--setenv", name, value]
        words += ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
        for name in ("bin", "lib", "lib64"):
            words += ["--symlink", f"usr/{name}", f"/{name}"]
        words += ["--proc", "/proc", "--dev", "/dev", "--bind", str(self._shared), "/dev/shm", "--tmpfs", "/tmp"]
        words += ["--bind", str(self.folder), "/box", "--chdir", "/box/submission", "--tmpfs", self.package.mount]
        for inside, here in self.package.contents.items():
            words += ["--ro-bind", here, f"{self.package.mount}/{inside}"]
        words += ["--", "/usr/bin/python3", "-ISc", INIT, str(status_fd)]
        return [*words, f"{self.package.mount}/{script}", *arguments]

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Package:
    """A runtime as it lies on a Piston. `contents`: name inside -> path here."""

    language: str
    version: str
    mount: str
    environment: dict[str, str]
    contents: dict[str, str]

    @classmethod
    def of(cls, language: str, cache_dir: Path) -> "Package":
        """A built runtime, with the scripts and the supervisor of this checkout in front."""
        source, built = installed.built(cache_dir, language), installed.installed(cache_dir, language)
        folder = installed.runtimes_folder(cache_dir) / built.folder
        contents = {entry.name: str(entry.resolve()) for entry in folder.iterdir() if entry.name != "program"}
        contents["supervise.pl"] = str(SUPERVISOR / "supervise.pl")
        for script in ("run", "compile"):
            if (source.folder / script).exists():
                contents[script] = str(SUPERVISOR / "start.sh")
                contents[f"program/{script}"] = str(source.folder / script)
        return cls(language, source.version, built.mount, built.environment, contents)

    @classmethod
    def of_scripts(cls, language: str, folder: Path) -> "Package":
        """A package made for a test out of scripts alone: `run`, perhaps `compile`, in `folder`."""
        contents = {"supervise.pl": str(SUPERVISOR / "supervise.pl")}
        for script in folder.iterdir():
            contents |= {script.name: str(SUPERVISOR / "start.sh"), f"program/{script.name}": str(script)}
        return cls(language, "1.0.0", f"/piston/packages/{language}/1.0.0", {}, contents)

    @property
    def compiled(self) -> bool:
        return "compile" in self.contents

    @property
    def listed(self) -> dict[str, object]:
        aliases = [SUPERVISED_ALIAS + self.language] if "supervise.pl" in self.contents else []
        return {"language": self.language, "version": self.version, "aliases": aliases}


class _Engine:
    """Checks requests as Piston does, and has jobs done in threads."""

    def __init__(self, standin: Standin, packages: list[Package], shared: Path) -> None:
        self._standin = standin
        self._packages = packages
        self._shared = shared
        self._places = threading.Semaphore(standin.limits.jobs)

    def problem(self, request: dict) -> str | None:
        if not isinstance(request.get("files"), list):
            return "files is required as an array"
        for name in ("run_timeout", "compile_timeout", "run_memory_limit", "compile_memory_limit"):
            most = getattr(self._standin.limits, name)
            if 0 <= most < request.get(name, 0):
                return f"{name} cannot exceed the configured limit of {most}"
        if self._package(request) is None:
            return f"{request.get('language')}-{request.get('version')} runtime is unknown"
        return None

    def _package(self, request: dict) -> Package | None:
        wanted = (request.get("language"), request.get("version"))
        return next((package for package in self._packages if (package.language, package.version) == wanted), None)

    def execute(self, request: dict, say: Say, interactive: bool) -> dict:
        """The whole answer; `say` hears it as the websocket would."""
        package = self._package(request)
        stdin = None if interactive else f"{request.get('stdin', '')}\n".encode()
        stages = {}
        with self._places:
            box = Box(package, self._shared, request, self._standin)
            self._standin.jobs.append(package.language)
            self._standin.boxes.add(str(box.folder))
            try:
                say({"type": "runtime", "language": package.language, "version": package.version})
                if package.compiled:
                    stages["compile"] = self._stage(box, "compile", box.texts, stdin, say)
                if not package.compiled or stages["compile"]["code"] == 0:
                    arguments = [box.texts[0], *request.get("args", [])]
                    stages["run"] = self._stage(box, "run", arguments, stdin, say)
            finally:
                box.remove()
                self._standin.boxes.discard(str(box.folder))
        stages.setdefault("run", stages.get("compile"))
        return {**stages, "language": package.language, "version": package.version}

    def _stage(self, box: Box, name: str, arguments: list[str], stdin: bytes | None, say: Say) -> dict:
        texts = {"stdout": "", "stderr": ""}

        def hear(message: dict[str, object]) -> None:
            texts[message["stream"]] += message["data"]
            say(message)

        say({"type": "stage", "stage": name})
        request, limits = box._request, self._standin.limits
        timeout_ms = request.get(f"{name}_timeout", getattr(limits, f"{name}_timeout"))
        ended = box.stage(name, arguments, timeout_ms, stdin, hear)
        say({"type": "exit", "stage": name, "code": ended["code"], "signal": ended["signal"]})
        return {**ended, **texts, "output": texts["stdout"] + texts["stderr"]}


def _app(engine: _Engine, standin: Standin, packages: list[Package], websocket: bool) -> Starlette:
    async def runtimes(_: Request) -> Response:
        return JSONResponse([package.listed for package in packages])

    async def execute(request: Request) -> Response:
        body = await request.body()
        if len(body) > BODY_BYTES:
            return JSONResponse(TOO_LARGE, 400)
        asked = json.loads(body)
        if problem := engine.problem(asked):
            return JSONResponse({"message": problem}, 400)
        return JSONResponse(await asyncio.to_thread(engine.execute, asked, lambda _: None, False))

    async def connect(socket: WebSocket) -> None:
        await socket.accept()
        asked = await socket.receive_json()
        if problem := engine.problem(asked):
            await socket.send_json({"type": "error", "message": problem})
            await socket.close(4002, "Notified Error")
            return
        loop, messages = asyncio.get_running_loop(), asyncio.Queue()

        def work() -> None:
            def say(message: dict[str, object] | None) -> None:
                with suppress(RuntimeError):  # the server has ended, and with it everything that this job was for
                    loop.call_soon_threadsafe(messages.put_nowait, message)

            engine.execute(asked, say, True)
            say(None)

        threading.Thread(target=work, daemon=True).start()
        hearing = asyncio.create_task(hear(socket))
        with suppress(WebSocketDisconnect, RuntimeError):  # who goes away does not end the job
            while message := await messages.get():
                await socket.send_text(json.dumps(message))
            await socket.close(4999, "Job Completed")
        hearing.cancel()

    async def hear(socket: WebSocket) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await socket.receive_json()
                standin.frames_after_init += 1

    routes = [Route("/api/v2/runtimes", runtimes), Route("/api/v2/execute", execute, methods=["POST"])]
    return Starlette(routes=[*routes, WebSocketRoute("/api/v2/connect", connect)] if websocket else routes)


@contextmanager
def served(app: Starlette, port: int = 0) -> Iterator[str]:
    """An app on loopback; its address."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="error",
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=100 * 1024 * 1024,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


@contextmanager
def standing_in(
    *packages: Package, limits: Limits | None = None, websocket: bool = True, port: int = 0
) -> Iterator[Standin]:
    """A stand-in that has these packages, at any free port."""
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o1777)
        standin = Standin("", limits or Limits())
        engine = _Engine(standin, list(packages), Path(shared))
        try:
            with served(_app(engine, standin, list(packages), websocket), port) as standin.url:
                yield standin
        finally:
            for process in standin.processes:
                process.kill()

"""The local Bedrock endpoint as a process: `python -m codecoach.local.bedrock_endpoint [--model 0.5b] [--port 0]`.

Prints one line, `{"url": "http://127.0.0.1:40001", "models": [...]}`, when it answers. Ends on SIGTERM and Ctrl-C, and
when the process that started it has gone.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from codecoach import logs, settings
from codecoach.errors import CodeCoachError
from codecoach.i18n import Language, tell
from codecoach.local import endpoint_server, engines
from codecoach.local.endpoint_app import build
from codecoach.local.engine import Engine
from codecoach.local.scripted import Script, ScriptedEngine, last_words

_PARENT_CHECK_S = 0.5


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    logs.configure("INFO", "json" if os.environ.get("CODECOACH_LOG_FORMAT") == "json" else "text")
    try:
        engine, controls = _engine(options)
        listener = endpoint_server.bind(options.port)
    except (CodeCoachError, OSError, ValueError) as error:
        sys.stderr.write(f"{_told(error)}\n")
        return 1
    server = endpoint_server.server(build(engine, controls))
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, listener, engine, os.getppid()))
    return 0


def _engine(options: argparse.Namespace) -> tuple[Engine, tuple[Route, ...]]:
    if options.scripted:
        scripted = ScriptedEngine(Script.load(options.scripted))
        return scripted, _controls(scripted)
    given = {"local_model": options.model, "local_model_name": options.model_name}
    changes = {name: value for name, value in given.items() if value}
    return engines.engine(settings.load().model_copy(update=changes)), ()


def _told(error: Exception) -> str:
    if isinstance(error, CodeCoachError):
        return f"{tell(Language.EN, error.what)} {tell(Language.EN, error.hint)}"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m codecoach.local.bedrock_endpoint", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--model", help="0.5b, 1.5b, a GGUF file or an OpenAI-compatible URL; default: the settings'")
    parser.add_argument("--model-name", help="the model's name at an OpenAI-compatible URL")
    parser.add_argument("--scripted", type=Path, metavar="RULES.json", help="reply by rules instead of by a model")
    return parser.parse_args(argv)


def _controls(engine: ScriptedEngine) -> tuple[Route, ...]:
    """What a test in another process steers the script by."""

    async def follow(request: Request) -> Response:
        try:
            engine.follow(Script.parse(await request.body()))
        except ValueError as error:
            return JSONResponse({"message": str(error)}, 400)
        return JSONResponse({})

    async def requests(_: Request) -> Response:
        asked = [{**asdict(one), "text": last_words(one)} for one in engine.requests]
        # Of attachments the size is enough.
        return Response(json.dumps(asked, default=len), media_type="application/json")

    return (Route("/script", follow, methods=["PUT"]), Route("/script/requests", requests, methods=["GET"]))


async def _serve(server: uvicorn.Server, listener: socket.socket, engine: Engine, parent: int) -> None:
    serving = asyncio.ensure_future(server.serve([listener]))
    engine.start()
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    models = [model.id for model in engine.models() if model.listed]
    sys.stdout.write(json.dumps({"url": endpoint_server.url(listener), "models": models}) + "\n")
    sys.stdout.flush()
    while not serving.done():
        if os.getppid() != parent:
            server.should_exit = True
        await asyncio.wait({serving}, timeout=_PARENT_CHECK_S)
    await serving
    await engine.close()


if __name__ == "__main__":
    sys.exit(main())

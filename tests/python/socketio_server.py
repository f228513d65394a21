"""A gateway on `python-socketio`: what tests/js/gateway.cjs does, in short.

    python socketio_server.py '{"keys":["KEY"],"keyDelay":300,"pingInterval":25000,"pingTimeout":20000}'

It prints and reads one JSON object on each line: see testkit/src/behavior/gateways.rs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import datetime, timezone
from typing import Any

import socketio
from aiohttp import web

SPACE = "/ws"
setup: dict[str, Any] = {"keys": [], "keyDelay": 300, "forbidden": [], "unanswered": 0, "silentPing": False}
setup |= json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")
io = socketio.AsyncServer(
    async_mode="aiohttp",
    ping_interval=setup.get("pingInterval", 25_000) / 1000,
    ping_timeout=setup.get("pingTimeout", 20_000) / 1000,
    max_http_buffer_size=setup.get("maxPayload", 1_000_000),
)
keys: dict[str, str | None] = {}
# The clients whose key was looked up and found.
ready: set[str] = set()


def say(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


def knows(key: str | None) -> bool:
    return not setup["keys"] or key in setup["keys"]


async def look_up(sid: str) -> None:
    await asyncio.sleep(setup["keyDelay"] / 1000)
    if not knows(keys.get(sid)):
        await io.disconnect(sid, namespace=SPACE)
        return
    ready.add(sid)
    timestamp = datetime.now(timezone.utc).isoformat()
    payload = {"message": "Connected to MultiWA WebSocket API", "clientId": sid, "timestamp": timestamp}
    await io.emit("message", {"type": "ack", "payload": payload}, to=sid, namespace=SPACE)


async def connect(sid: str, environ: dict[str, Any], auth: dict[str, str] | None) -> None:
    say({"connected": sid, "auth": auth or {}, "url": environ["RAW_URI"]})
    keys[sid] = (auth or {}).get("apiKey") or environ.get("HTTP_X_API_KEY")
    io.start_background_task(look_up, sid)


async def disconnect(sid: str, reason: str) -> None:
    ready.discard(sid)
    say({"disconnected": reason})


async def join(sid: str, body: dict[str, str]) -> dict[str, Any]:
    profile = body["profileId"]
    allowed = sid in ready and profile not in setup["forbidden"]
    say({"join": profile, "allowed": allowed})
    if not allowed:
        return {"success": False, "error": "Forbidden"}
    await io.enter_room(sid, f"profile:{profile}", namespace=SPACE)
    if setup["unanswered"] > 0:
        setup["unanswered"] -= 1
        # The library acknowledges whatever is returned, so the acknowledgement is lost by never returning.
        await asyncio.Event().wait()
    return {"success": True, "profileId": profile}


async def leave(sid: str, body: dict[str, str]) -> dict[str, Any]:
    say({"leave": body["profileId"]})
    await io.leave_room(sid, f"profile:{body['profileId']}", namespace=SPACE)
    return {"success": True, "profileId": body["profileId"]}


async def message(sid: str, body: dict[str, Any]) -> None:
    kind = body.get("type")
    say({"envelope": kind})
    if kind == "ping" and not setup["silentPing"]:
        pong = {"type": "pong", "payload": {}, "requestId": body.get("requestId")}
        await io.emit("message", pong, to=sid, namespace=SPACE)


def with_bytes(value: Any) -> Any:
    """The value in which each {"$bytes": "BASE64"} is binary."""
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    return {name: with_bytes(member) for name, member in value.items()}


async def listen() -> int:
    for handler in (connect, disconnect, join, message):
        io.on(handler.__name__, handler, namespace=SPACE)
    io.on("unsubscribe:profile", leave, namespace=SPACE)
    app = web.Application()
    io.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner.addresses[0][1]


async def obey(order: dict[str, Any]) -> None:
    setup.update(order.get("setup", {}))
    if "emit" in order:
        name, argument = order["emit"]
        value = with_bytes(argument)
        if "filler" in order:
            value["filler"] = "x" * order["filler"]
        room = f"profile:{order['profile']}" if "profile" in order else None
        await io.emit(name, value, room=room, namespace=SPACE)
    if "keys" in order:
        setup["keys"] = order["keys"]
        for sid in list(ready):
            if not knows(keys[sid]):
                await io.disconnect(sid, namespace=SPACE)
    if "goAway" in order:
        for sid in list(ready):
            await io.disconnect(sid, namespace=SPACE)


async def main() -> None:
    say({"listening": await listen()})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await obey(json.loads(line))
        say({"done": True})


asyncio.run(main())

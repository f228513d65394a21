"""A server of the MultiWA WebSocket API on the package `websockets`, as deployed: a plain `subscribe` replaces the one
before, an error has no code, and events of an earlier profile leak when their names match.

    python server.py '{"keys":["KEY"],"compression":false,"tls":null}'

It prints and reads one JSON object on each line: see testkit/src/behavior/programs.rs.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


def say(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def key_of(request: Request) -> str | None:
    return parse_qs(urlsplit(request.path).query).get("apiKey", [None])[0]


def tls_of(setup: dict[str, str]) -> ssl.SSLContext:
    """Both in PEM, which OpenSSL reads from files alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as pem:
        pem.write(setup["certificate"] + setup["key"])
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


@dataclass
class Client:
    connection: ServerConnection
    key: str | None
    profiles: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)

    def wants(self, event: str, profile: str | None) -> bool:
        named = "*" in self.events or event in self.events
        return named and (bool(self.profiles) if profile is None else profile in self.profiles)

    def answer_to(self, message: dict[str, Any]) -> dict[str, Any]:
        payload = message.get("payload") or {}

        def reply(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
            answer = {"type": kind, "payload": payload}
            return answer | {"requestId": message["requestId"]} if "requestId" in message else answer

        match message.get("type"):
            case "subscribe":
                profile = payload.get("profileId") or payload.get("sessionId")
                events = payload.get("events")
                if not isinstance(events, list) or not events:
                    return reply("error", {"error": "Events array is required"})
                if not profile:
                    return reply("error", {"error": "profileId or sessionId is required"})
                self.profiles.add(profile)
                self.events = events
                return reply("ack", {"action": "subscribed", "profileId": profile, "events": events})
            case "unsubscribe":
                self.profiles.clear()
                self.events = []
                return reply("ack", {"action": "unsubscribed"})
            case "ping":
                return reply("pong", {"timestamp": now()})
            case _:
                return reply("error", {"error": "Unknown message type"})


class Gateway:
    def __init__(self, setup: dict[str, Any]) -> None:
        self.keys: list[str] = setup["keys"]
        self.compression = "deflate" if setup["compression"] else None
        self.tls = tls_of(setup["tls"]) if setup["tls"] else None
        self.clients: list[Client] = []
        self.server: Server | None = None

    async def listen(self, port: int) -> int:
        self.server = await serve(
            self.serve,
            "127.0.0.1",
            port,
            process_request=self.check_request,
            compression=self.compression,
            ssl=self.tls,
            max_size=None,
        )
        return next(iter(self.server.sockets)).getsockname()[1]

    def check_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if urlsplit(request.path).path != "/ws":
            return connection.respond(HTTPStatus.NOT_FOUND, "Not Found\n")
        if self.keys and key_of(request) not in self.keys:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Unauthorized\n")
        return None

    async def serve(self, connection: ServerConnection) -> None:
        client = Client(connection, key_of(connection.request))
        self.clients.append(client)
        try:
            payload = {"message": "Connected to MultiWA WebSocket API", "clientId": str(connection.id), "timestamp": now()}
            await connection.send(json.dumps({"type": "ack", "payload": payload}))
            async for message in connection:
                if isinstance(message, bytes):
                    await connection.close(1003)
                    break
                await connection.send(json.dumps(client.answer_to(json.loads(message))))
        except ConnectionClosed:
            pass
        finally:
            self.clients.remove(client)
            await connection.wait_closed()
            say({"left": connection.close_code})

    async def close(self, clients: list[Client], code: int, reason: str = "") -> None:
        await asyncio.gather(*(client.connection.close(code, reason) for client in clients))

    async def obey(self, order: dict[str, Any]) -> None:
        if "compresses" in order:
            extensions = self.clients[0].connection.protocol.extensions
            say({"compresses": any(extension.name == "permessage-deflate" for extension in extensions)})
            return
        if "publish" in order:
            payload = order["publish"]
            text = json.dumps({"type": "event", "payload": payload})
            for client in self.clients:
                if client.wants(payload["event"], payload.get("profileId")):
                    await client.connection.send(text)
        if "keys" in order:
            self.keys = order["keys"]
            expired = [client for client in self.clients if client.key not in self.keys]
            await self.close(expired, 1008, "the API key is no longer valid")
        if "goAway" in order:
            await self.close(list(self.clients), 1001)
        if "crash" in order:
            await self.crash()
        say({"done": True})

    async def crash(self) -> None:
        assert self.server is not None
        port = next(iter(self.server.sockets)).getsockname()[1]
        self.server.close(close_connections=False)
        for client in self.clients:
            client.connection.transport.abort()
        await self.server.wait_closed()
        await self.listen(port)


async def main() -> None:
    gateway = Gateway(json.loads(sys.argv[1]))
    say({"listening": await gateway.listen(0)})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await gateway.obey(json.loads(line))


asyncio.run(main())

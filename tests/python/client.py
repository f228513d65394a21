"""A client on the package `websockets` that sends what its input requests, and reports what it receives:

    python client.py URL ['NAME: VALUE'...]

It prints and reads one JSON object on each line: see testkit/src/behavior/programs.rs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def say(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


async def report(connection: ClientConnection) -> None:
    try:
        async for message in connection:
            say({"binary": message.hex()} if isinstance(message, bytes) else {"text": message})
    except ConnectionClosed:
        pass
    await connection.wait_closed()
    say({"closed": connection.close_code, "reason": connection.close_reason})


async def main() -> None:
    url, *lines = sys.argv[1:]
    headers = dict(line.split(": ") for line in lines)
    try:
        connection = await connect(url, additional_headers=headers, proxy=None)
    except InvalidStatus as refused:
        say({"refused": refused.response.status_code})
        return
    say({"open": {name.lower(): value for name, value in connection.response.headers.raw_items()}})
    reporting = asyncio.create_task(report(connection))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if "send" in order:
            await connection.send(order["send"])
        if "close" in order:
            await connection.close(order["close"])
    reporting.cancel()


asyncio.run(main())

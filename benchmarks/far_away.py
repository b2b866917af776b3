"""A relay that keeps every byte for a while in each direction, as a long way does.

Instead of netem, which not every kernel has. It holds back what it is given without a limit, so that only the
ends decide how much is on its way at once.
"""

import argparse
import asyncio
import time
from collections import deque

PIECE = 256 * 1024


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float) -> None:
    held: deque[tuple[float, bytes]] = deque()
    more = asyncio.Event()

    async def let_go() -> None:
        while True:
            while not held:
                more.clear()
                await more.wait()
            due, piece = held.popleft()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not piece:
                sink.close()
                return
            sink.write(piece)
            await sink.drain()

    going = asyncio.create_task(let_go())
    piece = b" "
    while piece:
        try:
            piece = await source.read(PIECE)
        except ConnectionError:
            piece = b""
        held.append((time.monotonic() + delay_s, piece))
        more.set()
    await going


async def _serve(port: int, to: int, delay_s: float) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to, limit=PIECE)
        await asyncio.gather(
            _carry(reader, back, delay_s), _carry(there, writer, delay_s), return_exceptions=True
        )

    server = await asyncio.start_server(meet, "127.0.0.1", port, limit=PIECE)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Runs until it is ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.far_away", description=__doc__)
    parser.add_argument("port", type=int, help="to listen at, on the loopback")
    parser.add_argument("to", type=int, help="port that is far away")
    parser.add_argument("delay_ms", type=float, help="in each direction")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.to, options.delay_ms / 1000))


if __name__ == "__main__":
    main()

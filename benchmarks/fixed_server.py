"""A server that gives every request the same answer: ``python -m benchmarks.fixed_server``.

It prints its URL, and ends when its standard input closes. It parses no more of a request than
where the next one begins, so that the client under test is what limits the rate.
"""

from __future__ import annotations

import asyncio
import sys

TICKET = (
    b'{"ticket":{"id":530348198,"type":"O","email":"","phone":"","status":"P","orderId":"",'
    b'"queueKey":"","ticketId":"713516551148","folderId":0,"detail":"","isUnread":true,'
    b'"isOutOfSLA":false,"priority":0,"isCallBack":false,"creatorId":0,"substatus":"US",'
    b'"lastConversationTime":1713516551152,"date":"2024-04-19 14:19:11","taskTitle":"TEST 1",'
    b'"substatusName":"Unattended","folders":["Inbox"]},"Additional_details":{},'
    b'"due_date":"2024-04-19 14:19:11","title":"TEST 1","customer_id":0,'
    b'"ticket_id":"713516551148","Ticket Id":"713516551148",'
    b'"ticket_url":"https://devapi.kapturecrm.com/x","status":"success"}'
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(TICKET)
) + TICKET


class FixedAnswer(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(ANSWER)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FixedAnswer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())

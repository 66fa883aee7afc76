"""A service whose every day has so many tickets: `python serve_day.py ROWS`; prints its address.

It sends 64 KiB at a time and says on request how much it had sent: `GET /sent`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress

ROW = (
    b'{"tat":"","sla":"","date":"19-04-2024 14:19","status":"Pending","nextFollowUp":"",'
    b'"lastFollowUp":"19-04-2024 14:19","taskId":530348198,"lastSource":"Mobile App","orderId":"",'
    b'"lastConvesationTime":"19-04-2024 14:19","ticketId":"%012d","folderId":0,"primarySource":'
    b'"Mobile App","detail":"' + b"What a customer wrote. " * 12 + b'","mergedTicketId":"",'
    b'"contactId":0,"productId":0,"creatorId":0,"substatusKey":"US","customerId":0,"assignedId":0,'
    b'"referenceId":0,"creatorName":"Example API&apos;s","priority":"low","pendingTaskId":0,'
    b'"assignedToName":"","callBack":"","customer_rating":0,"queueKey":"","lastConversationId":0,'
    b'"slaStatus":"in sla","queueName":"","total_conversations":0,"disposition":"Inbox",'
    b'"taskTitle":"Printer on fire","taskEnddate":"","url":"https://mytenant.example.com/employee/'
    b'view-task-detail.html?detail=5/530348198/713516551148","substatus":"Unattended",'
    b'"assigneeCode":"","ftr":"no","email":"user@example.com","phone":"","attachments":[],'
    b'"additional_info":{"webform":{"field":"value"}}}'
)
BEGIN, END = b'{"totalCount":null,"message":[', b'],"status":"success"}'


def blocks(rows: int) -> Iterator[bytes]:
    yield BEGIN
    for start in range(0, rows, 50):
        numbers = range(start, min(start + 50, rows))
        yield (b"," if start else b"") + b",".join(ROW % number for number in numbers)
    yield END


async def main(rows: int) -> None:
    size = sum(map(len, blocks(rows)))
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length or b"0"))
        status = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
        if head.startswith(b"GET /sent"):
            body = b"%d %d" % (sent, size)
            writer.write(status + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        else:
            writer.write(status + b"Content-Length: %d\r\n\r\n" % size)
            sent = 0
            with suppress(ConnectionError):  # whoever reads may leave early
                for block in blocks(rows):
                    writer.write(block)
                    await writer.drain()
                    sent += len(block)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it is gone


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

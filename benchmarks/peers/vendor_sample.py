"""The vendor's own sample for Add Ticket, in a loop: http.client, a connection per call."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from ..job import ADD, TOKEN, Job, Measured, rows


def push(job: Job) -> Measured:
    """The sample's lines, for each ticket; only its ``print`` is left out."""
    measured = Measured(sent=job.rows)
    host = urlsplit(job.url).netloc
    context = job.tls()
    headers = {"Authorization": f"Basic {TOKEN}", "Content-Type": "application/json"}
    with measured.clocks():
        for row in rows(job.rows):
            conn: http.client.HTTPConnection
            if context is not None:
                conn = http.client.HTTPSConnection(host, context=context)
            else:
                conn = http.client.HTTPConnection(host)
            payload = json.dumps([row])
            conn.request("POST", ADD, payload, headers)
            res = conn.getresponse()
            data = res.read()
            data.decode("utf-8")
            measured.count(res.status == 200)
    return measured

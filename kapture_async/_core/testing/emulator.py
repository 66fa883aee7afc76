"""What every emulator is: a server, a ledger of what it executed, and faults on demand."""

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import datetime as dt
import functools
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import attrs

from .fault_actions import carry_out
from .faults import HEADER, Fault, FaultPlan
from .http import MAX_BODY, EmulatorReply, EmulatorRequest
from .ledger import Ledger
from .runner import InThread
from .server import Connection, Server

T = TypeVar("T")
_RECEIVED_KEPT = 100
_RECEIVED_BYTES = 32 * 1024 * 1024
_LARGE_BODY = 64 * 1024
_CALL_SECONDS = 10.0


class Emulator(abc.ABC):
    """A stand-in for a service on 127.0.0.1, which knows what it truly executed.

    Use it as ``async with emulator:`` in a running loop, or as ``with emulator.in_thread():`` from
    anywhere. A service's own emulator says how a request is answered; all else stands here.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        faults: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
        zone: dt.tzinfo = dt.UTC,
        latency: float = 0.0,
        max_body: int = MAX_BODY,
    ) -> None:
        self._own_ledger = not isinstance(ledger, Ledger)
        self.ledger: Ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self.faults: FaultPlan = faults if faults is not None else FaultPlan()
        """The plan for the requests to come; may be replaced at any time."""
        self.latency = latency
        """Seconds between executing a request and answering it."""
        self.requests: Counter[str] = Counter()
        """How many requests arrived, by path; those that a fault cut short are counted too."""
        self.received: deque[EmulatorRequest] = deque(maxlen=_RECEIVED_KEPT)
        """The last requests that arrived, in order: up to 100, fewer where bodies are large."""
        self.faulted: Counter[str] = Counter()
        """How many requests suffered which kind of fault."""
        self.zone = zone
        self._last_writes: dict[str, EmulatorReply] = {}
        self._clock = clock
        self._moved = 0.0
        self._server = Server(self, port=port, max_body=max_body)

    def __repr__(self) -> str:
        where = self.url if self._server.is_running else "not running"
        return f"{type(self).__name__}({where})"

    # What the emulator of a service says.

    @abc.abstractmethod
    def operation(self, request: EmulatorRequest) -> str:
        """Return the name of the operation that a request calls; empty when there is none."""

    @abc.abstractmethod
    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        """Execute a request, write what took effect into the ledger, and return the answer."""

    @abc.abstractmethod
    def refusal(self, message: str) -> EmulatorReply:
        """Return the reply by which the service says that it did nothing, and why."""

    # Running.

    async def start(self) -> None:
        """Start listening in the running loop."""
        await self._server.start()

    async def stop(self) -> None:
        """Drop every connection and cancel all that waits. May be called twice."""
        await self._server.stop()
        if self._own_ledger:
            self.ledger.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def in_thread(self) -> InThread[Self]:
        """Run in a thread with a loop of its own, so that any code may talk to the emulator."""
        return InThread(self)

    @property
    def url(self) -> str:
        """Where the running emulator listens."""
        if not self._server.is_running:
            raise RuntimeError("the emulator is not running; start it first")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def port(self) -> int:
        """The port; 0 before the first start, unless one was asked for."""
        return self._server.port

    @property
    def connections_open(self) -> int:
        """How many connections clients hold right now."""
        return self._server.connections_open

    @property
    def connections_total(self) -> int:
        """How many connections clients have opened so far."""
        return self._server.connections_total

    def stop_listening(self, *, drop: bool = True) -> None:
        """Refuse connections from now on, as a server that is down does; the port is kept.

        With ``drop``, connections that clients hold are ended as well.
        """
        self.run(lambda: self._server.stop_listening(drop=drop))

    def listen_again(self) -> None:
        """Accept connections again, on the same port."""
        self.run(self._server.listen_again)

    def run(self, act: Callable[[], T]) -> T:
        """Call ``act`` where the emulator runs, so that no request is dealt with meanwhile."""
        if not self._server.is_running:
            return act()
        loop = self._server.loop
        if _running_loop() is loop:
            return act()
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def call() -> None:
            try:
                done.set_result(act())
            except BaseException as error:
                done.set_exception(error)

        loop.call_soon_threadsafe(call)
        return done.result(_CALL_SECONDS)

    # The emulator's time.

    @property
    def now(self) -> dt.datetime:
        """The emulator's time, in the zone of the service. Setting it moves the clock, which runs
        on.

        A time without a zone is taken as the service's own, as its texts are.
        """
        return dt.datetime.fromtimestamp(self.timestamp(), self.zone)

    @now.setter
    def now(self, value: dt.datetime) -> None:
        if value.tzinfo is None:
            value = value.replace(tzinfo=self.zone)
        self._moved = value.timestamp() - self._clock()

    def timestamp(self) -> float:
        """Return the emulator's time in seconds since the epoch."""
        return self._clock() + self._moved

    # What the server calls.

    def on_head(self, connection: Connection) -> None:
        """Count the request and decide its fault; the only moment for one before the body."""
        request = connection.request
        self.requests[request.path] += 1
        self.received.append(request)
        behind = connection.left_over is not None
        connection.fault = fault = None if behind else self._fault_for(request)
        if fault is not None:
            self.faulted[fault.kind] += 1
            if fault.kind == "reset_early":
                connection.reset()

    def on_request(self, connection: Connection) -> None:
        """Execute the request unless its fault forbids, then answer as its fault allows."""
        request, fault = connection.request, connection.fault
        if len(request.body) > _LARGE_BODY:
            self._let_go()
        if connection.left_over is not None:
            reply, connection.left_over = connection.left_over, None
            connection.reply(reply)
            return
        if fault is None:
            if HEADER in request.headers:
                connection.reply(_unreadable_fault(request.headers[HEADER]))
                return
            answer = functools.partial(connection.reply, self._execute(request))
        elif fault.kind == "late":
            self._server.later(fault.number("delay"), lambda: self._execute_unseen(request))
            connection.hold()
            return
        else:
            last_writes, writes = dict(self._last_writes), len(self.ledger)
            executed = self._execute(request) if fault.executes else None
            if fault.kind == "twice":
                executed = self._execute(request)
            if fault.kind == "previous_answer":
                read = executed is not None and len(self.ledger) == writes
                if not read:
                    executed = self._behind(fault, request, last_writes, executed)
            answer = functools.partial(carry_out, connection, fault, executed, self)
        if self.latency > 0:
            connection.later(self.latency, answer)
        else:
            answer()

    def _behind(
        self,
        fault: Fault,
        request: EmulatorRequest,
        last_writes: Mapping[str, EmulatorReply],
        own: EmulatorReply | None,
    ) -> EmulatorReply:
        """Return the answer of an earlier request, or one that is partly another's."""
        nothing = EmulatorReply(200, b"{}")
        if own is None:
            return last_writes.get(request.path, nothing)
        operation = self.ledger.last.operation
        if operation not in last_writes:
            return nothing
        if not fault.settings["only_id"]:
            return last_writes[operation]
        other, mine = (one.ticket_id.encode() for one in self.ledger.of(operation)[-2:])
        return attrs.evolve(own, body=own.body.replace(mine, other)) if mine else own

    def _fault_for(self, request: EmulatorRequest) -> Fault | None:
        asked = request.headers.get(HEADER)
        if asked is None:
            return self.faults.next(self.operation(request))
        try:
            return Fault.parse(asked)
        except ValueError:
            return None

    def _let_go(self) -> None:
        """Forget the oldest requests until what is kept of bodies is no burden."""
        kept = sum(len(request.body) for request in self.received)
        while kept > _RECEIVED_BYTES and len(self.received) > 1:
            kept -= len(self.received.popleft().body)

    def _execute_unseen(self, request: EmulatorRequest) -> None:
        self._execute(request)

    def _execute(self, request: EmulatorRequest) -> EmulatorReply:
        try:
            writes = len(self.ledger)
            reply = self.handle(request)
            if len(self.ledger) > writes:
                operation = self.ledger.last.operation
                self._last_writes[operation] = self._last_writes[request.path] = reply
            return reply
        except Exception as error:
            # A defect of the emulator, or a full disk under the ledger: loud here, 500 over there.
            context = {"message": "the emulator failed to answer", "exception": error}
            self._server.loop.call_exception_handler(context)
            return EmulatorReply(500, b"the emulator failed to answer", "text/plain")


def _unreadable_fault(text: str) -> EmulatorReply:
    try:
        Fault.parse(text)
    except ValueError as error:
        return EmulatorReply(400, f"{HEADER}: {error}".encode(), "text/plain;charset=UTF-8")
    raise AssertionError("the fault can be read after all")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

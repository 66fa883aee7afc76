"""One download into one file: order of the steps, slow disks, cancellation, one time for all."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from kapture_async._core.atomicfile import AtomicFile
from kapture_async._core.download.download import Download, DownloadProgress, save
from kapture_async._core.errors import (
    ConnectError,
    HelpdeskError,
    NoReplyError,
    NotSentTimeoutError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    ServerError,
)
from kapture_async._core.phase import Attempt, Phase
from kapture_async._core.transport.request import Operation
from kapture_async._core.transport.retry import RetryPolicy
from kapture_async._core.transport.settings import CallOptions, Timeout
from kapture_async._core.transport.streaming import OpenReply

OPERATION = Operation(name="files.get", path="/file/", effect="read", method="GET")


def attempts(count: int) -> tuple[Attempt, ...]:
    return tuple(Attempt(number, 0.0, 0.0, Phase.RECEIVING, 200) for number in range(1, count + 1))


class Reply:
    """The head of an answer, and prepared chunks; an exception in their place is raised."""

    def __init__(self, *chunks: Any, tries: int = 1, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.attempts = attempts(tries)
        self.left = list(chunks)
        self.closed = 0

    async def next_chunk(self) -> bytes | None:
        chunk = self.left.pop(0) if self.left else None
        if isinstance(chunk, BaseException):
            raise chunk
        if callable(chunk):
            return cast("bytes", await chunk())
        return cast("bytes | None", chunk)

    def close(self) -> None:
        self.closed += 1


class Service:
    """Gives prepared replies; an exception in their place is raised."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[int] = []
        self.slept: list[float] = []

    def begin(self, retry: RetryPolicy) -> Download:
        self.asked.append(retry.attempts)

        async def begin() -> OpenReply:
            reply = self.replies.pop(0)
            if isinstance(reply, Exception):
                raise reply
            return cast("OpenReply", reply)

        return Download(begin, default_name="default")

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def save(self, to: Path | AtomicFile, **more: Any) -> Path:
        saving = to if isinstance(to, AtomicFile) else AtomicFile(to, overwrite=False, folder=True)
        on_progress = more.pop("on_progress", None)
        return await save(
            self.begin,
            saving,
            service="test",
            operation=OPERATION,
            options=CallOptions(**more),
            on_progress=on_progress,
            sleep=self.sleep,
        )


def lost(tries: int = 1) -> NoReplyError:
    return NoReplyError("broke off", effect="read", attempts=attempts(tries))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_all_chunks_in_their_order(tmp_path: Path) -> None:
    chunks = [bytes([number]) * (number * 3001) for number in range(1, 100)]
    reply = Reply(*chunks)
    path = await Service(reply).save(tmp_path / "a")
    assert path.read_bytes() == b"".join(chunks)
    assert reply.closed


async def test_the_name_comes_from_the_head(tmp_path: Path) -> None:
    head = {"Content_Disposition": "attachment; filename=../x.txt"}
    assert (await Service(Reply(b"1", **head)).save(tmp_path)).name == "x.txt"
    assert (await Service(Reply(b"1")).save(tmp_path)).name == "default"
    assert names(tmp_path) == ["default", "x.txt"]


async def test_progress_tells_every_piece(tmp_path: Path) -> None:
    seen: list[DownloadProgress] = []
    reply = Reply(b"12", lost(), Content_Length="5")
    service = Service(reply, Reply(b"123", b"45"))
    await service.save(tmp_path / "a", on_progress=seen.append)
    assert [(step.received, step.size) for step in seen] == [
        (0, 5),
        (2, 5),
        (0, None),
        (3, None),
        (5, None),
    ]


async def test_begun_again_with_the_tries_that_are_left(tmp_path: Path) -> None:
    first, second = Reply(b"longer than the last", lost(), tries=2), Reply(b"x", lost())
    service = Service(first, second, Reply(b"last"))
    retry = RetryPolicy(attempts=5, first_wait=1, longest_wait=100)
    path = await service.save(tmp_path / "a", retry=retry)
    assert path.read_bytes() == b"last"
    assert service.asked == [5, 3, 2]
    assert 1 <= service.slept[0] <= 2 <= service.slept[1] <= 4  # the waits go on growing
    assert first.closed
    assert second.closed
    assert names(tmp_path) == ["a"]


CASES: dict[str, tuple[Sequence[Reply | Exception], type[HelpdeskError], int, int]] = {
    "broken off each time": (
        [Reply(lost())] * 1 + [Reply(lost()), Reply(lost())],
        NoReplyError,
        3,
        3,
    ),
    "few tries": ([Reply(lost(), tries=2), Reply(lost())], NoReplyError, 2, 3),
    "used up at once": ([Reply(b"x", lost(), tries=3)], NoReplyError, 1, 3),
    "silence": ([Reply(ReplyTimeoutError("x")) for _ in range(3)], ReplyTimeoutError, 3, 3),
    "never began": ([lost(3)], NoReplyError, 1, 3),
    "never began again": ([Reply(lost()), lost(2)], NoReplyError, 2, 3),
    "refused in between": (
        [Reply(lost()), ServerError("x", attempts=attempts(2))],
        ServerError,
        2,
        3,
    ),
    "gone in between": (
        [Reply(lost()), ConnectError("x", attempts=attempts(1))],
        ConnectError,
        2,
        2,
    ),
    "too large": (
        [Reply(b"x", ReplyTooLargeError("x", attempts=attempts(1)))],
        ReplyTooLargeError,
        1,
        1,
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_given_up(tmp_path: Path, case: str) -> None:
    replies, error, transfers, tries = CASES[case]
    service = Service(*replies)
    with pytest.raises(error) as caught:
        await service.save(tmp_path / "a", retry=RetryPolicy(attempts=3, first_wait=0))
    assert len(service.asked) == transfers
    assert [one.number for one in caught.value.attempts] == [*range(1, tries + 1)]
    assert names(tmp_path) == []
    assert all(reply.closed for reply in replies if isinstance(reply, Reply))


# --- time --------------------------------------------------------------------------------------


async def never() -> bytes:
    await asyncio.Event().wait()
    return b""


async def test_time_that_runs_out_in_the_middle(tmp_path: Path) -> None:
    reply = Reply(b"x", never)
    with pytest.raises(ReplyTimeoutError, match=r"did not arrive whole within 0\.05 s") as caught:
        await Service(reply).save(tmp_path / "a", timeout=Timeout(total=0.05))
    error = caught.value
    assert (error.service, error.operation, error.effect) == ("test", "files.get", "read")
    assert error.phase is Phase.RECEIVING
    assert reply.closed
    assert names(tmp_path) == []


async def test_time_that_runs_out_between_two_transfers(tmp_path: Path) -> None:
    service = Service(Reply(lost()))

    async def sleep(seconds: float) -> None:
        await never()

    service.sleep = sleep  # type: ignore[method-assign]
    with pytest.raises(ReplyTimeoutError) as caught:
        await service.save(tmp_path / "a", timeout=Timeout(total=0.05))
    assert len(caught.value.attempts) == 1
    assert names(tmp_path) == []


class Held(AtomicFile):
    """Its writes stop until they may go on."""

    inside: threading.Event
    may_go_on: threading.Event
    raises: BaseException | None = None

    @classmethod
    def at(cls, path: Path, raises: BaseException | None = None) -> Held:
        saving = cast("Held", cls(path, folder=True))
        saving.inside, saving.may_go_on = threading.Event(), threading.Event()
        saving.raises = raises
        return saving

    def write(self, data: bytes) -> None:
        with self._lock:
            self.inside.set()
            assert self.may_go_on.wait(30)
        if self.raises is not None:
            raise self.raises
        super().write(data)


@pytest.mark.parametrize("total", [None, 30.0])
async def test_a_disk_that_times_out_is_not_the_service_s_fault(
    tmp_path: Path, total: float | None
) -> None:
    saving = Held.at(tmp_path / "a", TimeoutError(errno.ETIMEDOUT, "of the disk"))
    saving.may_go_on.set()
    with pytest.raises(TimeoutError, match="of the disk") as caught:
        await Service(Reply(b"x")).save(saving, timeout=Timeout(total=total))
    assert not isinstance(caught.value, HelpdeskError)
    assert names(tmp_path) == []


async def test_an_error_that_is_a_timeout_passes_unchanged(tmp_path: Path) -> None:
    error = NotSentTimeoutError("no free connection slot")
    with pytest.raises(NotSentTimeoutError) as caught:
        await Service(error).save(tmp_path / "a")
    assert caught.value is error


@pytest.mark.parametrize("how", ["cancelled", "cancelled twice", "scope", "time"])
async def test_a_disk_that_hangs_holds_up_no_loop(
    tmp_path: Path, leap: Callable[[float], None], how: str
) -> None:
    """The thread cannot be ended; it is waited for, while everybody else goes on."""
    saving = Held.at(tmp_path / "a")
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            total = 20.0 if how == "time" else None
            await Service(Reply(b"x" * 300_000)).save(saving, timeout=Timeout(total=total))

    call = asyncio.ensure_future(run())
    await asyncio.to_thread(saving.inside.wait, 30)
    if how == "scope":
        scope.cancel()
    elif how == "time":
        leap(20)
    else:
        call.cancel()
    for _ in range(20):  # the loop turns, so it is not held up
        await asyncio.sleep(0.001)
    assert not call.done()
    if how == "cancelled twice":
        call.cancel()
        await asyncio.sleep(0)
    saving.may_go_on.set()
    await asyncio.wait([call])
    if how == "time":
        assert isinstance(call.exception(), ReplyTimeoutError)
    elif how == "scope":
        assert scope.cancelled_caught
    else:
        assert call.cancelled()
    await asyncio.to_thread(saving.discard)  # after "twice" the thread may still be at it
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["begin", "chunk", "progress", "sleep", "finish"])
async def test_cancelled_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    reply = Reply(b"x", lost()) if step == "sleep" else Reply(b"x")
    service = Service(reply)
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> Any:
        loop.call_soon_threadsafe(call.cancel)
        threading.Event().wait(0.05)

    async def stop_here(*_: object) -> Any:
        call.cancel()
        await asyncio.sleep(0)

    if step in ("begin", "finish"):
        real: Callable[..., Any] = getattr(AtomicFile, step)
        monkeypatch.setattr(AtomicFile, step, lambda *a: (stop(), real(*a))[1])
    elif step == "chunk":
        reply.left.insert(1, stop_here)
    elif step == "sleep":
        service.sleep = stop_here  # type: ignore[method-assign]

    def progress(told: DownloadProgress) -> None:
        if step == "progress" and told.received:
            call.cancel()

    call = asyncio.ensure_future(service.save(tmp_path / "a", on_progress=progress))
    with pytest.raises(asyncio.CancelledError):
        await call
    assert reply.closed or step == "begin"
    assert names(tmp_path) in ([], ["a"] if step == "finish" else [])
    if step == "finish" and names(tmp_path):
        assert (tmp_path / "a").read_bytes() == b"x"

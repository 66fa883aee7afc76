from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from kapture_async._core.errors import ClientStateError, HelpdeskError, OutcomeUnknownError
from kapture_async._core.sync import Portal, SyncInAsyncWarning
from kapture_async._core.sync import portal as portal_module


@pytest.fixture(
    params=[
        "asyncio",
        pytest.param(
            "uvloop",
            marks=pytest.mark.skipif(not find_spec("uvloop"), reason="uvloop is not installed"),
        ),
    ]
)
def loop(request: pytest.FixtureRequest) -> Iterator[Portal]:
    private = Portal(use_uvloop=request.param == "uvloop")
    yield private
    private.close()


async def value_of(value: object = None) -> object:
    return value


async def fail(error: BaseException) -> None:
    raise error


# --- calls -------------------------------------------------------------------------------------


def test_returns_what_the_coroutine_returns(loop):
    marker = object()
    assert loop.call(value_of(marker)) is marker


def test_runs_in_one_named_daemon_thread(loop):
    async def where() -> threading.Thread:
        return threading.current_thread()

    thread = loop.call(where())
    assert thread is loop.call(where())
    assert (thread.name, thread.daemon) == ("kapture-sync", True)


def test_the_thread_starts_with_the_first_call():
    before = threading.active_count()
    loop = Portal(name="late")
    assert threading.active_count() == before
    loop.call(value_of())
    assert "late" in {thread.name for thread in threading.enumerate()}
    loop.close()
    assert "late" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("use_uvloop", [True, False])
def test_which_event_loop(use_uvloop):
    async def module() -> str:
        return next(c.__module__ for c in type(asyncio.get_running_loop()).__mro__[::-1])

    async def is_uvloop() -> bool:
        bases = type(asyncio.get_running_loop()).__mro__
        return any(base.__module__.startswith("uvloop") for base in bases)

    loop = Portal(use_uvloop=use_uvloop)
    assert loop.call(is_uvloop()) is (use_uvloop and find_spec("uvloop") is not None)
    loop.close()


def test_names_are_looked_up(loop):
    async def look_up() -> tuple[object, str]:
        running = asyncio.get_running_loop()
        found = await running.getaddrinfo("localhost", 80, type=1)
        name, _ = await running.getnameinfo(("127.0.0.1", 80), 1)
        return found, name

    found, name = loop.call(look_up())
    assert found
    assert name


def test_exceptions_cross_unchanged(loop):
    error = HelpdeskError("no")
    error.__cause__ = cause = ValueError("why")
    error.add_note("a note")
    with pytest.raises(HelpdeskError) as caught:
        loop.call(fail(error))
    assert caught.value is error
    assert (error.__cause__, error.__notes__) == (cause, ["a note"])


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("k"), SystemExit(3), asyncio.CancelledError("c"), GeneratorExit()]
)
def test_any_base_exception_crosses_and_the_loop_lives_on(loop, error):
    with pytest.raises(type(error)) as caught:
        loop.call(fail(error))
    assert caught.value is error
    assert loop.call(value_of(1)) == 1


@pytest.mark.parametrize("error", [StopIteration(1), StopAsyncIteration(1)])
def test_no_end_of_iteration_crosses(loop, error):
    with pytest.raises(RuntimeError, match=f"coroutine raised {type(error).__name__}") as caught:
        loop.call(fail(error))
    assert caught.value.__cause__ is error


def test_an_error_keeps_no_frames_alive(loop):
    class Thing:
        pass

    async def raise_directly() -> None:
        raise ValueError

    def attempt() -> weakref.ref[Thing]:
        thing = Thing()
        with contextlib.suppress(ValueError):
            loop.call(raise_directly())
        return weakref.ref(thing)

    gc.disable()
    try:
        assert attempt()() is None  # no cycle that only the collector could break
    finally:
        gc.enable()


def test_the_callers_context_is_visible_and_stays_its_own(loop):
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")

    async def look() -> str:
        seen = variable.get()
        variable.set("changed inside")
        return seen

    assert loop.call(look()) == "mine"
    assert variable.get() == "mine"


def test_many_threads_at_once(loop):
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda n: loop.call(double(n)), range(2000))) == [
            2 * n for n in range(2000)
        ]


def test_a_task_that_exits_does_not_end_the_loop(loop):
    async def spawn() -> None:
        child = asyncio.ensure_future(fail(SystemExit(1)))
        with pytest.raises(SystemExit):
            await child

    loop.call(spawn())
    assert loop.call(value_of(2)) == 2


def test_stopping_the_loop_from_inside_is_undone(loop):
    async def stop() -> None:
        asyncio.get_running_loop().stop()

    loop.call(stop())
    assert loop.call(value_of(3)) == 3


def test_a_call_cancelled_from_elsewhere_before_it_began(loop):
    async def start_and_cancel() -> portal_module.Call[object]:
        call = portal_module.Call(loop._thread, asyncio.get_running_loop(), value_of())
        call.start()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        return call

    call = loop.call(start_and_cancel())
    call.done.acquire()  # a cancelled task that never began does not enter the coroutine
    with pytest.raises(asyncio.CancelledError):
        call.outcome()


def test_polling_as_on_windows(loop, monkeypatch):
    monkeypatch.setattr(portal_module, "_POLL", 0.001)

    async def raise_a_timeout() -> None:
        await asyncio.sleep(0.02)
        raise TimeoutError("the coroutine's own")

    assert loop.call(value_of(4)) == 4
    with pytest.raises(TimeoutError, match="own"):
        loop.call(raise_a_timeout())


# --- refusals ----------------------------------------------------------------------------------


def test_a_call_from_the_loops_own_thread_is_refused(loop):
    async def call_again() -> None:
        with pytest.raises(ClientStateError, match="wait for itself"):
            loop.call(value_of())
        with pytest.raises(ClientStateError, match="wait for itself"):
            loop.close()

    loop.call(call_again())
    assert not loop.closed


def test_a_call_after_close_is_refused(loop):
    loop.call(value_of())
    loop.close()
    with pytest.raises(ClientStateError, match="the client is closed"):
        loop.call(value_of())  # a coroutine left unawaited would be an error here


def test_no_thread_to_be_had(monkeypatch):
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    loop = Portal()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ClientStateError, match="can't start new thread"):
            loop.call(value_of())
    assert loop.call(value_of(5)) == 5
    loop.close()


@pytest.mark.parametrize("before", [True, False])
def test_ctrl_c_while_the_thread_starts(monkeypatch, before):
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        if not before:
            start(self)
            started.append(self)
        raise KeyboardInterrupt

    started: list[threading.Thread] = []
    loop = Portal(use_uvloop=False)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.call(value_of())
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()
    assert loop.call(value_of(6)) == 6
    loop.close()
    if before:
        with pytest.warns(ResourceWarning, match="unclosed event loop"):
            gc.collect()


# --- a running loop in the calling thread ------------------------------------------------------


async def test_one_warning_for_each_call_site_in_a_running_loop():
    loop = Portal(async_name="KaptureClient")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert loop.call(value_of(1)) == 1
        loop.call(value_of())
    assert {w.category for w in caught} == {SyncInAsyncWarning}
    assert [str(w.message).split(" was")[0] for w in caught] == ["value_of", "value_of"]
    assert "Use KaptureClient there" in str(caught[0].message)
    assert {w.filename for w in caught} == {__file__}
    loop.close()


async def test_the_warning_may_be_an_error_and_stays_one():
    loop = Portal()
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(SyncInAsyncWarning):
                loop.call(value_of())
    loop.close()


async def test_frames_of_the_sync_clients_are_no_call_site():
    blocking: dict[str, object] = {"__name__": "some.sync"}
    exec("def method(loop, coro):\n    return loop.call(coro)", blocking)
    loop = Portal(hidden_module="some.sync")
    with pytest.warns(SyncInAsyncWarning) as caught:
        blocking["method"](loop, value_of())  # type: ignore[operator]
    assert caught[0].filename == __file__
    loop.close()


# --- close -------------------------------------------------------------------------------------


def test_close_runs_the_async_close_once_and_stops_the_thread():
    closed: list[str] = []

    async def aclose() -> None:
        closed.append(threading.current_thread().name)

    loop = Portal(aclose=aclose)
    loop.call(value_of())
    for _ in range(2):
        loop.close()
    assert closed == ["kapture-sync"]
    assert loop.closed


def test_close_of_a_loop_that_was_never_used():
    closed: list[int] = []

    async def aclose() -> None:
        closed.append(1)

    Portal().close()
    loop = Portal()
    loop.close(aclose)
    loop.close(aclose)
    assert closed == [1]


def test_an_error_of_the_close_is_raised_and_the_thread_stops(loop):
    loop.call(value_of())
    with pytest.raises(ValueError, match="while closing"):
        loop.close(lambda: fail(ValueError("while closing")))
    loop.close()
    assert not loop._thread.thread.is_alive()


def test_a_close_that_hangs_is_cut_off(loop, monkeypatch):
    monkeypatch.setattr("kapture_async._core.sync.portal.CLOSE_TIMEOUT", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    loop.call(value_of())
    with pytest.raises(TimeoutError, match="the close took longer than"):
        loop.close(hang)


def test_pending_tasks_are_cancelled_and_awaited(loop):
    events: list[str] = []

    async def pending() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("cleaned up")

    async def spawn() -> None:
        tasks.append(asyncio.ensure_future(pending()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Future[None]] = []
    loop.call(spawn())
    loop.close()
    assert events == ["cleaned up"]
    assert tasks[0].cancelled()


def test_async_generators_are_closed(loop):
    events: list[str] = []

    async def numbers():
        try:
            yield 1
        finally:
            events.append("closed")

    async def first() -> int:
        generators.append(numbers())
        return await anext(generators[0])

    generators: list = []
    assert loop.call(first()) == 1
    loop.close()
    assert events == ["closed"]


def test_a_task_that_fails_at_the_close_is_reported(loop, caplog):
    async def pending() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("at the close")

    async def spawn() -> None:
        loop.task = asyncio.ensure_future(pending())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    loop.call(spawn())
    loop.close()
    assert "unhandled exception while the client was closed" in caplog.text


def test_a_running_call_ends_when_another_thread_closes(loop):
    began = threading.Event()

    async def call() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            error.add_note("the ticket may have been created")
            raise

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(loop.call, call())
        began.wait()
        loop.close()
        error = future.exception()
    # Not "closed": that would say that nothing was sent.
    assert isinstance(error, OutcomeUnknownError)
    assert error.__notes__ == ["the ticket may have been created"]


def test_calls_racing_with_the_close_end_one_way_or_the_other():
    for _ in range(30):
        loop = Portal()
        loop.call(value_of())
        go = threading.Barrier(5)

        def call(loop: Portal = loop, go: threading.Barrier = go) -> str:
            go.wait()
            try:
                for _ in range(50):
                    loop.call(value_of())
            except (ClientStateError, OutcomeUnknownError) as error:
                return type(error).__name__
            return "done"

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(call) for _ in range(4)]
            go.wait()
            loop.close()
            ends = {future.result(timeout=20) for future in futures}
        assert ends <= {"done", "ClientStateError", "OutcomeUnknownError"}


def test_a_forgotten_close_is_made_up_for():
    closed: list[int] = []

    async def aclose() -> None:
        closed.append(1)

    loop = Portal(aclose=aclose)
    loop.call(value_of())
    thread = loop._thread.thread
    with pytest.warns(ResourceWarning, match="unclosed client"):
        del loop
    assert closed == [1]
    assert thread is not None
    assert not thread.is_alive()


def test_a_loop_that_was_not_used_or_was_closed_is_dropped_in_silence():
    loop = Portal()
    del loop
    loop = Portal()
    loop.call(value_of())
    loop.close()
    del loop
    gc.collect()


def test_forgotten_and_collected_on_its_own_thread():
    closed = threading.Event()

    async def aclose() -> None:
        closed.set()

    loop = Portal(aclose=aclose)
    holder = [loop]
    thread = loop._thread
    loop.call(value_of())

    del loop
    thread.loop.call_soon_threadsafe(holder.clear)
    assert closed.wait(10)
    thread.thread.join(10)
    assert not thread.thread.is_alive()


# --- finish and post ---------------------------------------------------------------------------


def test_finish_closes_only_what_can_be_open(loop):
    closed: list[int] = []

    async def aclose() -> None:
        closed.append(1)

    loop.finish(aclose)
    assert loop._thread.thread is None  # it never starts the thread
    loop.call(value_of())
    loop.finish(aclose)
    assert closed == [1]
    loop.close()
    loop.finish(aclose)
    assert closed == [1]


def test_post_does_not_wait(loop):
    closed = threading.Event()

    async def aclose() -> None:
        closed.set()

    loop.post(aclose)
    assert not closed.is_set()
    loop.call(value_of())
    loop.post(aclose)
    assert closed.wait(10)
    closed.clear()
    loop.close()
    loop.post(aclose)
    assert not closed.is_set()

"""One call, from data to checked response: what every method of every resource goes through."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import define, evolve, field, frozen

from .codec import Codec, WireModel
from .errors import InvalidInputError, UnreadableReplyError
from .received import ReceivedResponse
from .response import DOCUMENTED, Advice, ResponseContext, StreamedResponse, VendorWords
from .secret import Secret
from .transport.call_state import IsFile
from .transport.request import (
    NOTHING,
    Body,
    Form,
    Operation,
    RawReply,
    Request,
    form_body,
    json_body,
)
from .transport.retry import RetryPolicy
from .transport.settings import CallOptions
from .transport.streaming import OpenReply, SelfDelimiting
from .transport.transport import Transport

logger = logging.getLogger("kapture_async.transport")

M = TypeVar("M", bound=WireModel)

CheckResponse = Callable[[ResponseContext], Any]
"""A service's rule of success: returns the decoded body, or raises the error that fits."""


@define
class PageSize:
    """Rows per page of one tenant, shared by all its pulls.

    Attributes:
        rows: ``None`` while the service gives all rows of a window at once. Set by the user, or
            learned when the service refuses a request that has no limit.
    """

    rows: int | None = None


@frozen(kw_only=True)
class ApiRequestor:
    """Makes the calls of one client.

    Attributes:
        transport: sends the requests.
        check_response: the service's rule of success.
        codec: between models and JSON.
        options: timeout, retries and headers in force.
        advice: the service's own next steps for some classes of errors.
        words: the tenant's own words for "none", "success" and "failed".
        exclusive_end: the end of a window is not part of it.
        page_size: how many rows a page of a pull has.
    """

    transport: Transport
    check_response: CheckResponse
    codec: Codec
    options: CallOptions
    advice: Advice = field(factory=dict)
    words: VendorWords = DOCUMENTED
    exclusive_end: bool = False
    page_size: PageSize = field(factory=PageSize)

    def with_options(self, options: CallOptions) -> ApiRequestor:
        """The same with other options; the transport is shared."""
        return evolve(self, options=options)

    def with_retry(self, retry: RetryPolicy) -> ApiRequestor:
        """The same with another retry policy."""
        return self.with_options(self.options.changed(retry=retry))

    async def call(
        self,
        operation: Operation,
        data: Any = None,
        *,
        path: str | None = None,
        query: tuple[tuple[str, str], ...] = (),
        headers: Mapping[str, Secret] | None = None,
        secrets: tuple[Secret, ...] = (),
    ) -> ResponseContext:
        """Send ``data`` the way the operation wants it, and check the response.

        Args:
            operation: what to call.
            data: whatever :meth:`Codec.encode` takes, or a :class:`Form`.
            path: the path with ids filled in, if the operation's has any.
            query: the query string in parts; names may repeat.
            headers: headers of this call alone.
            secrets: what to mask in the service's own words, besides all headers.

        Returns:
            The response that passed. It holds the decoded body, and makes the error if decoding
            finds something missing.

        Raises:
            InvalidInputError: the data cannot be encoded; nothing was sent.
            HelpdeskError: whatever fits; see the tree in :mod:`.errors`.
        """
        _ = self.codec.converter  # if it cannot load, that must show before anything is sent
        request = self._request(operation, data, path, query, headers)
        reply = await self.transport.send(request, self.options)
        if self.options.on_response is not None:
            self._tell_response(reply.status, reply.headers, reply.body)
        context = self._context(request, reply, secrets)
        context.body = self.check_response(context)
        return context

    def decode(self, response: ResponseContext, value: Mapping[str, Any], cls: type[M]) -> M:
        """The typed view over an object of a response.

        Raises:
            UnreadableReplyError: it lacks what makes it one.
        """
        try:
            return self.codec.decode(value, cls)
        except UnreadableReplyError as error:
            raise response.unreadable(error.message) from None

    async def open_file(
        self,
        operation: Operation,
        *,
        is_file: IsFile,
        path: str | None = None,
        headers: Mapping[str, Secret] | None = None,
    ) -> OpenReply:
        """Send a read without data, and leave the file that comes to be read as it arrives.

        Args:
            operation: what to call.
            is_file: the service's rule for heads: whether this one is that of a file.
            path: the path with ids filled in, if the operation's has any.
            headers: headers of this call alone.

        Raises:
            UnreadableReplyError: the answer is neither a file nor a refusal.
            HelpdeskError: whatever else fits.
        """
        request = self._request(operation, None, path, (), headers)
        reply = await self.transport.open(request, self.options, is_file=is_file)
        self._tell_opened(reply)
        if isinstance(reply, OpenReply):
            return reply
        context = self._context(request, reply)
        if reply.status >= 300:
            self.check_response(context)  # raises: a status of failure is never success
        raise context.no_file()

    async def stream(
        self,
        operation: Operation,
        data: Any,
        *,
        headers: Mapping[str, Secret] | None = None,
    ) -> StreamedResponse:
        """Send a read, and leave a JSON answer to be read as it arrives.

        Args:
            operation: what to call.
            data: whatever :meth:`Codec.encode` takes.
            headers: headers of this call alone.

        Returns:
            The response to read and to check. It must be closed: it holds a connection slot.

        Raises:
            InvalidInputError: the data cannot be encoded; nothing was sent.
            HelpdeskError: it was refused at once, or no answer came.
        """
        _ = self.codec.converter
        most = self.transport.settings.max_reply_bytes
        if most is not None:
            operation = evolve(operation, reply_cap=most)
        request = self._request(operation, data, None, (), headers)
        reply = await self.transport.open(request, self.options, is_file=SelfDelimiting())
        self._tell_opened(reply)
        if isinstance(reply, OpenReply):
            return StreamedResponse(
                reply,
                self.check_response,
                lambda raw: self._context(request, raw),
                operation.reply_cap,
            )
        context = self._context(request, reply)
        self.check_response(context)  # raises: a status of failure is never success
        raise context.unreadable()

    def _request(
        self,
        operation: Operation,
        data: Any,
        path: str | None,
        query: tuple[tuple[str, str], ...],
        headers: Mapping[str, Secret] | None,
    ) -> Request:
        problem: InvalidInputError | None = None
        body: Body | None = None
        try:
            wrap = operation.wrap
            if wrap == "array":
                body = json_body([self.codec.encode(data)])
            elif wrap == "object":
                body = json_body(self.codec.encode(data))
            elif wrap == "form" and isinstance(data, Form):
                body = form_body(data)
            elif wrap == "none" and data is None:
                # A GET has no body at all; the others get one that can be marked.
                body = None if operation.method in ("GET", "HEAD") else NOTHING
            else:
                raise InvalidInputError(f"{operation.name} does not take this kind of data")
        except InvalidInputError as error:
            problem = error
        except Exception as error:
            # A date beyond the calendar, a structure that holds itself, a type with a bug.
            problem = InvalidInputError(f"the data cannot be encoded ({type(error).__name__})")
        if problem is not None:
            problem.__context__ = None  # its message may hold the data
            raise problem
        path = operation.path if path is None else path
        return Request(
            operation=operation, path=path, body=body, query=query, headers=headers or {}
        )

    def _tell_opened(self, reply: OpenReply | RawReply) -> None:
        if self.options.on_response is not None:
            body = b"" if isinstance(reply, OpenReply) else reply.body
            self._tell_response(reply.status, reply.headers, body)

    def _tell_response(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        assert self.options.on_response is not None
        try:
            self.options.on_response(ReceivedResponse(status, headers, body))
        except Exception as error:
            # As of any observer: its bug must not turn a sent ticket into a lost one. Its words
            # may hold the body.
            logger.error("on_response raised %s; the call continues", type(error).__name__)

    def _context(
        self, request: Request, reply: RawReply, secrets: tuple[Secret, ...] = ()
    ) -> ResponseContext:
        if self.options.headers or request.headers:
            secrets = (*self.options.headers.values(), *request.headers.values(), *secrets)
        return ResponseContext(
            self.transport,
            request.operation,
            reply,
            secrets,
            self.advice,
            request.body is not None and request.body.has_file,
            self.words,
        )

"""What aiohttp raises, in our own words.

Its exceptions carry frames whose variables hold the headers, and their types do not tell whether
anything was sent: that is for the phase of the call to say.
"""

from __future__ import annotations

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from ..phase import Phase
from .aiohttp_internals import FIELD_CAP, FIELDS_CAP
from .call_state import CallState, Failure

_PROXY_MAY_RECOVER = frozenset({502, 503, 504})


def failure_of(error: Exception, call: CallState) -> Failure:
    """The failure that an exception stands for; one of connecting takes the call's phase back."""
    unconnected = _no_connection(error)
    if unconnected is not None:
        call.phase = Phase.CONNECTING
        return unconnected
    if isinstance(error, TimeoutError):  # aiohttp's SocketTimeoutError among them
        return silence(call)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Failure("lost", "the server closed the connection before it answered")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failure("lost", "the answer broke off")
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        if _is_too_much(error):
            return Failure(
                "garbled",
                f"the headers of the answer are more than is accepted ({FIELD_CAP:,} bytes in "
                f"one, {FIELDS_CAP} of them)",
            )
        return Failure("garbled", "what came back is not HTTP")
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return Failure("lost", "the connection was lost")
    # A bug, here or in the HTTP library. The call still needs a truthful outcome, and the
    # exception itself cannot be shown: its frames hold the headers.
    return Failure("lost", f"the HTTP library failed with {type(error).__name__}", True)


def is_closed(error: Exception) -> bool:
    """Whether the server closed the connection."""
    return isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError))


def silence(call: CallState) -> Failure:
    """The server said nothing for too long."""
    if call.phase is Phase.RECEIVING:
        return Failure("timeout", "the answer stopped arriving")
    return Failure("timeout", "the server stayed silent")


NOT_IN_TIME = Failure("connect", "could not connect in time")


def _is_too_much(error: Exception) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LineTooLong) or "Too many headers" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _no_connection(error: Exception) -> Failure | None:
    """The failures that mean that there was no connection, so nothing was sent."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "it does not verify"
        return Failure("connect", f"the server's TLS certificate was refused: {reason}", True)
    if isinstance(error, aiohttp.ClientSSLError):
        return Failure("connect", "the TLS handshake failed")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failure("connect", "the host name could not be resolved")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Failure("connect", "the proxy could not be reached")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # This answers CONNECT: the request itself never left.
        final = error.status not in _PROXY_MAY_RECOVER
        return Failure("connect", f"the proxy refused with HTTP {error.status}", final)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return NOT_IN_TIME
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or type(error.os_error).__name__
        return Failure("connect", f"the connection failed: {reason.lower()}")
    return None

"""What came from the service, as it came: for whoever asks for it, and for no message or log."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen(eq=False)
class ReceivedResponse:
    """An HTTP answer as it came. Its repr shows neither the body nor what the headers say.

    Attributes:
        status: the HTTP status.
        headers: the answer's headers; names are compared without case:
            ``response.headers.get("x-request-id")``. May hold cookies.
        body: the decoded bytes, which may hold what customers wrote. Empty where the answer is
            read as it arrives: a file, or the rows of a pull.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"<ReceivedResponse {self.status}, {len(self.headers)} headers, "
            f"{len(self.body):,} bytes>"
        )

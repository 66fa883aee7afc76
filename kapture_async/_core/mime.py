"""Media types of files, by their names."""

from __future__ import annotations

import mimetypes

UNKNOWN = "application/octet-stream"

# What is packed is of the packing's type: named by what is inside, it would be unpacked by
# somebody on the way, or shown as what it is not.
_PACKED = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}


def media_type_of(filename: str) -> str:
    """The media type that a file's name stands for."""
    kind, packing = mimetypes.guess_type(filename)
    if packing is not None:
        return _PACKED.get(packing, UNKNOWN)
    return kind or UNKNOWN

"""What a journal says of its rows' source, changed after its push."""

from __future__ import annotations

import os
import sqlite3

from .lock import Lock
from .schema import connect, disconnect, examine, seal
from .seal import take_seal
from .trouble import text_of, trouble_of


def put_source(path: str | os.PathLike[str], source: str, *, at: float) -> None:
    """Put other words in place of :attr:`.Job.source`. No run is noted for it.

    Args:
        path: of the journal.
        source: the words.
        at: the wall clock.

    Raises:
        JournalError: another process has it, or it cannot be written. It is as it was, then.
    """
    text = text_of(path)
    lock = Lock(text)
    lock.acquire(at)
    try:
        disconnect(examine(text)[0], text)
        take_seal(text)
        connection = connect(text, "mode=rw")
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("UPDATE job SET source = ?", (source,))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            disconnect(connection, text)
        seal(text)
    except (OSError, sqlite3.Error) as error:
        raise trouble_of(text, error) from error
    finally:
        lock.release()

"""The journal of a push: what was about to be sent, what became of it, and what is in doubt.

One SQLite file per push. :mod:`.writer` is its face for asyncio, :mod:`.store` the same without,
:mod:`.reading` reads it while another process writes.
"""

"""Journals in PostgreSQL: shared by any number of processes, on any number of machines."""

from .reader import PostgresReader
from .storage import PostgresStorage, put_source

__all__ = ["PostgresReader", "PostgresStorage", "put_source"]

"""Journals in SQLite: one file for each push."""

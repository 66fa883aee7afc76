"""Rows from files and frames: what the file is, unpacked, read, and named by its columns."""

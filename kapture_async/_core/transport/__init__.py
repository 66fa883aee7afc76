"""The send path: messages, authentication, bodies, sessions, phases, retries.

The only rooms that import aiohttp's client, and only when the first request is sent.
"""

"""A small support service of stock Django REST Framework, the judge over the emulator and the
client.

Its serializers are what SERVICE.md infers (SERVICE.md, sections 2.5, 2.7, 3 and 6), and as much
as possible is left to the framework. The few texts that are the vendor's own are in ``words.py``.
Nothing here is imported into a test process: ``python -m drf`` runs it, with ``tests/support`` on
the path.
"""

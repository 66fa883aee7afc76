"""What both client packages stand on. It contains nothing vendor-specific.

House rules, held by ``tests/house/test_import_rules.py``: nothing in here imports from the
rest of ``kapture_async`` or from ``support_async``; only ``transport`` touches aiohttp.
"""

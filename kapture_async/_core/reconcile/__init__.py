"""Lookups in the helpdesk: what they prove of the rows of a journal."""

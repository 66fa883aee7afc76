"""Tickets of the Kapture CRM API."""

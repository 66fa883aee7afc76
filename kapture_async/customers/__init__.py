"""Customers of the Kapture CRM API."""

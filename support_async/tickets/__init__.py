"""Tickets of the Support Ticket API."""

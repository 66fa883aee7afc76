"""Saving what a service lets one download: its name, its bytes, and the way to them."""

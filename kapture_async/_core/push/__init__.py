"""Pushing many rows: workers, pace, outcomes. The engine knows no vendor."""

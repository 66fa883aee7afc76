"""The page of the command ``ui``: the same push and the same journals, in a browser."""

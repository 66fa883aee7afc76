"""What command lines share: options, progress, reports, exit codes, signals. Knows no vendor.

Needs the extra ``cli`` (click and rich); ``extra`` alone can be imported without it.
"""

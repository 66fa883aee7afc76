"""Reading at scale: windows of days, fetched ahead, handed out in order."""

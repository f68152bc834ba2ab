"""The way of one submission: intake → run → judge → record."""

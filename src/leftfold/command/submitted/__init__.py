"""Submitted commands: appended to the log now, handled later by a follower."""

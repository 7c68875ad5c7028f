"""Following the log: workers, their leases, and what is common to all that follows it."""

"""What has to hold while processes are killed, and when a log is long: `python -m bench.endurance NAME`."""

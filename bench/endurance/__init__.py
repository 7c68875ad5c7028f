"""What has to hold while processes are killed: `python -m bench.endurance NAME`."""

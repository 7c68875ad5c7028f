"""For each line read do what `write.py` does in a process of its own, forked from this one: Python is started once.

Says the process id first, then what that process says, then how it has ended; it is ended from outside.
"""

import asyncio
import os
import sys

from write import main

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            os.write(1, f"{os.getpid()}\n".encode())
            asyncio.run(main(sys.argv[1], line.strip(), int(sys.argv[2])))
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    os.write(1, f"ended by signal {os.WTERMSIG(status)}\n".encode())

#!/usr/bin/env python3
"""Runs a command on a terminal of its own and relays both ways: what the command writes to its
terminal goes to standard output, and standard input is what somebody types. The end of standard
input ends the command."""

import os
import pty
import select
import signal
import sys

pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    ready, _, _ = select.select([0, master], [], [])
    if master in ready:
        try:
            output = os.read(master, 65536)
        except OSError:
            break
        os.write(1, output)
    if 0 in ready:
        typed = os.read(0, 65536)
        if not typed:
            os.kill(pid, signal.SIGKILL)
            break
        os.write(master, typed)

"""Runs a program on a pseudo-terminal of its own, without echo, and steers it by lines on standard input:
'type TEXT' types the text (with Python's escapes), 'hangup' closes the terminal. What the program
writes to the terminal goes to standard output; its standard error stays that of this script.
Ends with the program, with its status, or 128 and the number of the signal that ended it.

Usage: terminal.py PROGRAM [ARGUMENT]...
"""

import os
import pty
import select
import sys
import termios


def run_program(log):
    attributes = termios.tcgetattr(0)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    os.dup2(log, 2)
    os.execvp(sys.argv[1], sys.argv[1:])


def show(terminal):
    try:
        text = os.read(terminal, 65536)
    except OSError:
        text = b""
    os.write(1, text)
    return bool(text)


def main():
    log = os.dup(2)
    child, terminal = pty.fork()
    if child == 0:
        run_program(log)
    commands = b""
    sources = [0, terminal]
    while True:
        ready, _, _ = select.select(sources, [], [], 0.02)
        if terminal in ready and not show(terminal):
            sources.remove(terminal)
        if 0 in ready:
            text = os.read(0, 65536)
            if not text:
                sources.remove(0)
            commands += text
            *lines, commands = commands.split(b"\n")
            for line in lines:
                word, _, text = line.partition(b" ")
                if word == b"type":
                    os.write(terminal, text.decode("unicode_escape").encode("latin-1"))
                elif word == b"hangup":
                    sources.remove(terminal)
                    os.close(terminal)
        if not ready:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                # What it wrote last may have come since.
                while terminal in sources and select.select([terminal], [], [], 0)[0] and show(terminal):
                    pass
                code = os.waitstatus_to_exitcode(status)
                sys.exit(code if code >= 0 else 128 - code)


main()

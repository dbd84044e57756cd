#!/usr/bin/env python3
"""A dialogue for `exec`: asks for a name and a number, answers, and says that it is over.

    switchboard serve 'exec=tcp://127.0.0.1:8080?run=./docs/examples/dialog.py'
    nc 127.0.0.1 8080

Standard input and output are the connection. Standard error goes to the server's log.
"""
import os
import sys


def ask(question):
    """Sends a question; returns the answer, or ends where the client has ended its writing."""
    print(question, flush=True)  # a client waits for it: don't let it lie in the buffer
    line = sys.stdin.readline(1000)
    if not line:
        end("Goodbye.")
    return line.strip()


def end(words):
    """The last line says that it is over: netcat stays until its own input ends (Ctrl-D)."""
    print(words, "... connection closed", flush=True)
    sys.exit()


sys.stdin.reconfigure(encoding="utf-8", errors="replace")
sys.stdout.reconfigure(encoding="utf-8", errors="replace")
print("client:", os.environ.get("REMOTE_ADDR", "local"), file=sys.stderr)

name = ask("What is your name?") or "nobody"
while True:
    try:
        number = int(ask(f"Hello {name}. Which number shall I double?"))
        break
    except ValueError:
        print("That is no whole number.")
end(f"Twice {number} is {2 * number}. Goodbye {name}.")

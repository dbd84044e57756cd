"""Runs a program as the job of a shell on a pseudo-terminal of its own, with echo, and steers it by lines
on standard input: 'type TEXT' types the text (UTF-8, with the escapes \\n, \\xNN), 'echo' asks whether the terminal
echoes, 'signal NUMBER' sends a signal to the program, 'hangup' closes the terminal. What the terminal shows
goes to standard output. On standard error: 'echo on' or 'echo off' where that was asked, 'stopped, echo on' when
the program was stopped (it is continued at once), and 'ended STATUS, echo on' in the end, STATUS being
128 and the number of the signal where one ended it; 'no terminal' instead of 'echo on' once it is closed.

Usage: terminal.py COLUMNS PROGRAM [ARGUMENT]...
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios


def echo(terminal):
    try:
        attributes = termios.tcgetattr(terminal)
    except termios.error:
        return "no terminal"
    return "echo on" if attributes[3] & termios.ECHO else "echo off"


def report(log, text):
    os.write(log, (text + "\n").encode())


def give_terminal_to(group):
    # Whoever gives it away is in the background for a moment.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(0, group)
    except OSError:
        pass


def run_job(log, columns, words):
    # The size, and line ends as they are written.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    attributes = termios.tcgetattr(0)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    start, go = os.pipe()
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.read(start, 1)
        os.execvp(words[0], words)
    os.setpgid(job, job)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    give_terminal_to(job)
    report(log, f"job {job}")
    os.write(go, b"x")
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        give_terminal_to(os.getpgrp())
        if not os.WIFSTOPPED(status):
            break
        report(log, f"stopped, {echo(0)}")
        give_terminal_to(job)
        os.kill(job, signal.SIGCONT)
    code = os.waitstatus_to_exitcode(status)
    report(log, f"ended {code if code >= 0 else 128 - code}, {echo(0)}")
    os._exit(0)


def unescaped(text):
    return re.sub(rb"\\x(..)|\\(n)", lambda m: b"\n" if m[2] else bytes([int(m[1], 16)]), text)


def main():
    log = os.dup(2)
    jobs, tell = os.pipe()
    child, terminal = pty.fork()
    if child == 0:
        run_job(tell, int(sys.argv[1]), sys.argv[2:])
    os.close(tell)
    job = None
    commands = b""
    sources = [0, terminal, jobs]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if terminal in ready:
            try:
                text = os.read(terminal, 65536)
            except OSError:
                text = b""
            if text:
                os.write(1, text)
            else:
                sources.remove(terminal)
        if jobs in ready:
            text = os.read(jobs, 65536)
            if not text and terminal not in sources:
                return
            if not text:
                sources.remove(jobs)
            for line in text.splitlines():
                if line.startswith(b"job "):
                    job = int(line[4:])
                else:
                    report(log, line.decode())
        elif terminal not in sources and jobs not in sources:
            return
        if 0 in ready:
            text = os.read(0, 65536)
            if not text:
                sources.remove(0)
            commands += text
            *lines, commands = commands.split(b"\n")
            for line in lines:
                word, _, text = line.partition(b" ")
                if word == b"type":
                    os.write(terminal, unescaped(text))
                elif word == b"echo":
                    report(log, echo(terminal))
                elif word == b"signal":
                    os.kill(job, int(text))
                elif word == b"hangup":
                    sources.remove(terminal)
                    os.close(terminal)


main()

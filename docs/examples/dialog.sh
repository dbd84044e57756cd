#!/bin/sh
# A dialogue for `exec`: asks for a name and a number, answers, and says that it is over.
#
#     switchboard serve 'exec=tcp://127.0.0.1:8080?run=./docs/examples/dialog.sh'
#     nc 127.0.0.1 8080
#
# Standard input and output are the connection. Standard error goes to the server's log.
# What a client typed is never given to the shell as a command, and always stands in quotes.

# The last line says that it is over: netcat stays until its own input ends (Ctrl-D).
finish() {
    printf '%s ... connection closed\n' "$1"
    exit 0
}

# Sends a question and reads the answer into $answer.
ask() {
    printf '%s\n' "$1"
    # The last line counts without its newline; telnet sends a carriage return before it.
    read -r answer || [ -n "$answer" ] || finish 'Goodbye.'
    answer=${answer%"$carriage_return"}
}

carriage_return=$(printf '\r')

printf 'client: %s\n' "${REMOTE_ADDR:-local}" >&2

ask 'What is your name?'
name=${answer:-nobody}
ask "Hello $name. Which number shall I double?"
while :; do
    digits=${answer#-}
    case $digits in
    '' | *[!0-9]* | ??????????*) echo 'That is no whole number.' ;;
    *) break ;;
    esac
    ask "Hello $name. Which number shall I double?"
done
# A leading zero would make it an octal number.
while [ "${digits#0}" != "$digits" ] && [ "$digits" != 0 ]; do digits=${digits#0}; done
sign=''
[ "$answer" = "${answer#-}" ] || [ "$digits" = 0 ] || sign='-'
finish "Twice $sign$digits is $sign$((digits * 2)). Goodbye $name."

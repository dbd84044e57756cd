#!/usr/bin/env php
<?php
// A dialogue for `exec`: asks for a name and a number, answers, and says that it is over.
//
//     switchboard serve 'exec=tcp://127.0.0.1:8080?run=./docs/examples/dialog.php'
//     nc 127.0.0.1 8080
//
// Standard input and output are the connection. Standard error goes to the server's log.

function ask(string $question): string
{
    echo $question, "\n";
    $line = fgets(STDIN, 1000);
    if ($line === false) {
        finish('Goodbye.');
    }
    return trim($line);
}

// The last line says that it is over: netcat stays until its own input ends (Ctrl-D).
function finish(string $words): never
{
    echo $words, " ... connection closed\n";
    exit;
}

fwrite(STDERR, 'client: ' . (getenv('REMOTE_ADDR') ?: 'local') . "\n");

$name = ask('What is your name?') ?: 'nobody';
$answer = ask("Hello $name. Which number shall I double?");
while (!preg_match('/^[+-]?[0-9]{1,15}$/', $answer)) {
    echo "That is no whole number.\n";
    $answer = ask("Hello $name. Which number shall I double?");
}
$number = (int) $answer;
finish("Twice $number is " . 2 * $number . ". Goodbye $name.");

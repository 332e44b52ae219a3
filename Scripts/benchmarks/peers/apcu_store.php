<?php
// The store's rows by APCu: get | set | increment PROCESSES SECONDS, with -d apc.enable_cli=1. The processes are forked
// and share the cache. Prints the same line as limits/store_limits.c; PHP's own loop is in the figures.

const STEP = 250;
const KEYS = 1000;

$keys = $counters = [];
$value = str_repeat("12345678", 8);
for ($i = 0; $i < KEYS; $i++) {
    $keys[] = sprintf("key:%08d", $i);
    $counters[] = sprintf("sum:%08d", $i);
    apcu_store($keys[$i], $value);
    apcu_store($counters[$i], 0);
}

function get_step(int $first): void
{
    global $keys;
    for ($i = $first; $i < $first + STEP; $i++) {
        if (strlen(apcu_fetch($keys[$i])) !== 64) exit(70);
    }
}

function set_step(int $first): void
{
    global $keys, $value;
    for ($i = $first; $i < $first + STEP; $i++) {
        if (!apcu_store($keys[$i], $value)) exit(70);
    }
}

function increment_step(int $first): void
{
    global $counters;
    for ($i = $first; $i < $first + STEP; $i++) {
        if (apcu_inc($counters[$i]) === false) exit(70);
    }
}

function seconds(): float
{
    return hrtime(true) / 1e9;
}

function processor_seconds(): float
{
    $usage = getrusage();
    return $usage["ru_utime.tv_sec"] + $usage["ru_stime.tv_sec"]
        + ($usage["ru_utime.tv_usec"] + $usage["ru_stime.tv_usec"]) / 1e6;
}

function repeat(callable $step, int $process, float $start, float $seconds): array
{
    $step(0);
    usleep((int) max(0, ($start - seconds()) * 1e6));
    $begun = seconds();
    $processor = processor_seconds();
    $operations = 0;
    $round = $process + 1;
    do {
        $step($round % intdiv(KEYS, STEP) * STEP);
        $round++;
        $operations += STEP;
        $elapsed = seconds() - $begun;
    } while ($elapsed < $seconds);
    return [$operations, $elapsed, processor_seconds() - $processor];
}

[, $row, $count, $duration] = $argv;
$start = seconds() + 0.05;
$pipes = [];
for ($i = 0; $i < (int) $count; $i++) {
    [$reading, $writing] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    if (pcntl_fork() === 0) {
        fwrite($writing, json_encode(repeat("{$row}_step", $i, $start, (float) $duration)) . "\n");
        exit(0);
    }
    fclose($writing);
    $pipes[] = $reading;
}
$nanoseconds = $processor = $rate = 0.0;
foreach ($pipes as $pipe) {
    $figures = json_decode((string) fgets($pipe));
    if (!$figures) exit(70);
    [$operations, $elapsed, $processor_seconds] = $figures;
    $nanoseconds += $elapsed / $operations * 1e9 / (int) $count;
    $processor += $processor_seconds / $operations * 1e9 / (int) $count;
    $rate += $operations / $elapsed;
}
while (pcntl_wait($status) > 0);
printf("{\"ns\": %f, \"cpu_ns\": %f, \"mops\": %f}\n", $nanoseconds, $processor, $rate / 1e6);

"""Ctrl-C strikes a loop."""
import signal

import ckpt


@ckpt.ckpt
def job(limit):
    total = 0
    for number in range(limit):
        total += number
        if number == 3:
            signal.raise_signal(signal.SIGINT)
    return total


#> p total, number
job(10)

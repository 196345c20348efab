"""The captured function runs in a thread."""
import threading

import ckpt


@ckpt.ckpt
def job(number):
    squares = [n * n for n in range(number)]
    return squares[number]


raised = []


def work():
    try:
        job(3)
    except IndexError as error:
        raised.append(error)


#! other callers
#> p squares
#> p number
thread = threading.Thread(target=work)
thread.start()
thread.join()
raise raised[0]

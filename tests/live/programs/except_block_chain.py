"""Captured in an `except` block, with a cause, while the frame is still running."""
import ckpt


def convert(text):
    try:
        return int(text)
    except ValueError as error:
        raise TypeError(text) from error


def job(texts):
    failed = []
    for text in texts:
        try:
            convert(text)
        except TypeError as error:
            failed.append(error)
            ckpt.capture_exception(error, name="job")


#! handled
#> p text
#> w
#> u
#> p failed
#> l
#> exceptions
#> exceptions 0
#> w
#> l
job(["1", "x"])

"""Captured in an `except` block at the level of the module."""
import ckpt

rows = [3, 0]


def divide(row):
    return 6 / row


total = 0
for row in rows:
    try:
        total += divide(row)
    except ZeroDivisionError as error:
        ckpt.capture_exception(name="job")


#! handled
#> p row
#> u
#> p rows, total
#> p [row for row in rows]
#> l
#> !total = 7
#> p total

"""Enumerations, named tuples, dates, decimals and paths of the script."""
import datetime
import decimal
import enum
import pathlib
from typing import NamedTuple

import ckpt


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


class Order(NamedTuple):
    color: Color
    price: decimal.Decimal
    day: datetime.date
    path: pathlib.PurePath


@ckpt.ckpt
def job(order):
    due = order.day + datetime.timedelta(days=3)
    total = order.price * 2
    return total + due


#> p order
#> p order.color is Color.RED
#> p due, total
#> pp order
#> whatis order
#> whatis Color
#> p Color("b")
job(Order(Color.RED, decimal.Decimal("1.10"), datetime.date(2026, 1, 2), pathlib.PurePosixPath("/tmp/x")))

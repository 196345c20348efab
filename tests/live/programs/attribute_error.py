"""A misspelt attribute, for which Python has a suggestion."""
from dataclasses import dataclass

import ckpt


@dataclass
class Point:
    width: int
    height: int


@ckpt.ckpt
def job(point):
    return point.widht


#> p point
#> p point.width
#> whatis point
#> pp point
job(Point(1, 2))

"""A frozen dataclass is raised."""
from dataclasses import dataclass

import ckpt


@dataclass(frozen=True)
class Denied(Exception):
    user: str
    right: str


@ckpt.ckpt
def job(user):
    denied = Denied(user, "write")
    raise denied


#> p denied
#> p denied.right
job("eve")

"""An exception raised in C, below the last Python frame."""
import struct

import ckpt


@ckpt.ckpt
def job(data):
    head = data[:2]
    return struct.unpack(">IH", head)


#> p head
#> whatis data
#> p struct.calcsize(">IH")
job(b"\x00\x01\x02")

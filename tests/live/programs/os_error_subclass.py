"""A subclass of OSError with a constructor of its own."""
import ckpt


class Busy(OSError):
    def __init__(self, device):
        super().__init__(16, "device is busy", device)
        self.device = device


@ckpt.ckpt
def job(device):
    busy = Busy(device)
    raise busy


#> p busy
#> p busy.errno, busy.filename, busy.device
job("sda")

"""An exception class whose constructor takes other arguments than its message."""
import ckpt


class Rejected(Exception):
    def __init__(self, code, *, reason, retry=False):
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.retry = retry


@ckpt.ckpt
def job(code):
    try:
        raise Rejected(code, reason="full", retry=True)
    except Rejected as error:
        kept = error
        raise ConnectionError("gave up") from error


#> p kept
#> p kept.code, kept.retry
#> whatis kept
#> whatis Rejected
#> exceptions
#> exceptions 0
#> p code
job(7)

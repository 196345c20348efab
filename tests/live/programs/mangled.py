"""Names that a class has mangled."""
import ckpt


class Vault:
    def __init__(self):
        self.__key = 5

    @ckpt.ckpt(name="job")
    def open(self, __code):
        __guess = __code + self.__key
        return __guess / (__code - __code)


#> p self._Vault__key
#> p _Vault__guess
#> a
Vault().open(1)

"""The body of a class fails."""
import ckpt


@ckpt.ckpt
def job(base):
    class Broken:
        """One."""

        limit = 5
        table = {"a": limit}

        def method(self):
            return self.limit

        value = table[base]

    return Broken


#> p limit
#> p table
#> p base
#> p __qualname__
#> whatis table
#> p [limit for _ in range(2)]
#> !extra = 3
#> p extra
#> u
#> p base
job("b")

"""Special methods fail."""
import ckpt


class Vector:
    def __init__(self, *items):
        self.items = items

    def __add__(self, other):
        return Vector(*(a + b for a, b in zip(self.items, other.items, strict=True)))

    def __repr__(self):
        return f"<{', '.join(map(str, self.items))}>"


@ckpt.ckpt
def job(vectors):
    total = Vector(0, 0)
    for vector in vectors:
        total = total + vector
    return total


#> u
#> p self, other
#> p self + self
#> u
#> p total
#> whatis total
#> !total = total + total
#> p total
job([Vector(1, 2), Vector(3)])

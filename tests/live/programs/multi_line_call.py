"""A method chain over several lines fails in the middle."""
import ckpt


class Query:
    def __init__(self, *parts):
        self.parts = parts

    def where(self, part):
        if not part:
            raise ValueError("empty part")
        return Query(*self.parts, part)


@ckpt.ckpt
def job(parts):
    query = Query("all")
    return (
        query
        .where(parts[0])
        .where(
            parts[1],
        )
        .where("c")
    )


#> p part
#> p self.parts
#> u
#> p query.parts
#> l
job(["a", ""])

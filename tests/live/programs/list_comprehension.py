"""A comprehension fails."""
import ckpt


@ckpt.ckpt
def job(rows, key):
    found = [row[key] * 2 for row in rows]
    return found


#> p key
#> p len(rows)
#> p [one for one in rows]
job([{"a": 1}, {"b": 2}], "a")

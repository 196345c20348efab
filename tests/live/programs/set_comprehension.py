"""A set comprehension over things that cannot be in a set."""
import ckpt


@ckpt.ckpt
def job(parts):
    return {part for part in parts}


#> p parts
#> p {str(part) for part in parts}
job([1, "a", [2]])

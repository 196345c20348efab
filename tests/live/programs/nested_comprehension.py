"""A comprehension within a comprehension fails."""
import ckpt


@ckpt.ckpt
def job(matrix):
    factor = 10
    return {name: [factor / cell for cell in row] for name, row in matrix.items()}


#> p factor
#> p matrix
#> whatis matrix
job({"one": [1, 2], "two": [4, 0]})

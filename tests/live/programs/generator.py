"""A generator fails half-way."""
import ckpt


@ckpt.ckpt
def job(values):
    seen = []
    for value in values:
        seen.append(value)
        yield 10 / value


def main():
    results = []
    for each in job([5, 2, 0]):
        results.append(each)
    return results


#> p seen
#> p value
#> whatis seen
main()

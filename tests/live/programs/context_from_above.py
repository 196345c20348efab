"""The captured function is called while its caller handles an exception."""
import ckpt


@ckpt.ckpt
def job(report):
    lines = report.splitlines()
    return lines[3]


def main():
    attempt = 1
    try:
        open("/nowhere/data.txt")
    except OSError:
        attempt += 1
        job("a\nb")


#> p lines
#> exceptions
#> exceptions 0
#> w
#> p attempt
#> l
main()

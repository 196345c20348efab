"""A generator fails on what it is sent."""
import ckpt


@ckpt.ckpt
def job():
    total = 0
    while True:
        item = yield total
        total += item


def main():
    running = job()
    next(running)
    running.send(1)
    running.send("two")


#> p total, item
#> whatis item
main()

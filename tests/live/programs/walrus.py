"""Names assigned within expressions."""
import ckpt


@ckpt.ckpt
def job(text):
    if (count := text.count("a")) and (rest := [last := letter for letter in text]):
        return rest[count * 10]
    return last


#> p count, rest, last
job("banana")

"""A SyntaxError in text that was compiled."""
import ckpt


@ckpt.ckpt
def job(text):
    lines = text.count("\n")
    return compile(text, "<input>", "exec"), lines


#> p text
#> p lines
job("a = 1\nb = (2 +\n")

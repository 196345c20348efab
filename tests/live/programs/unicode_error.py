"""A UnicodeDecodeError with its five arguments."""
import ckpt


@ckpt.ckpt
def job(data):
    text = data.decode("ascii")
    return text


#> p data
job("grün".encode())

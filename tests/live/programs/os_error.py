"""An OSError with its fields."""
import ckpt


@ckpt.ckpt
def job(folder):
    path = f"{folder}/missing.txt"
    with open(path) as file:
        return file.read()


#> p path
#> p folder
job("/nowhere")

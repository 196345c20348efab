"""Names and texts beyond ASCII."""
import ckpt

größe = 3


def zähle(wörter, ключ="ё"):
    länge = {wort: len(wort) for wort in wörter}
    return länge["日本"] + größe * länge[ключ]


@ckpt.ckpt(name="job")
def prüfe(текст):
    wörter = текст.split()
    return zähle(wörter)


#> p länge
#> p größe
#> p ключ
#> !länge = {"日本": 2}
#> p länge
#> u
#> p wörter
#> whatis zähle
prüfe("grün blau 日本")

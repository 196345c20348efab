"""A captured static method, called through an instance."""
import ckpt


class Tools:
    @staticmethod
    @ckpt.ckpt(name="job")
    def area(width, height):
        return width * height.value


#> a
#> whatis height
Tools().area(2, 3)

"""A method fails; the object has state, and its class is the script's own."""
import ckpt


class Account:
    rate = 0.5

    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance

    def __repr__(self):
        return f"Account({self.owner!r}, {self.balance})"

    def check(self, amount):
        if amount > self.balance:
            raise ValueError(f"{self.owner} has only {self.balance}")

    @ckpt.ckpt(name="job")
    def withdraw(self, amount):
        before = self.balance
        self.check(amount)
        self.balance -= amount
        return before


#> p self
#> p self.owner, self.rate
#> pp vars(self)
#> whatis self
#> whatis self.check
#> whatis Account
#> p Account.rate
#> source self.check
#> !self.balance = 1000
#> p self
#> u
#> p before, amount
#> p self.check(5)
Account("Ada", 10).withdraw(25)

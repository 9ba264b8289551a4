"""A trainer whose names and errors would do harm in a page that trusted them."""

SCRIPT = "</script><script>document.title='owned'</script>"
IMAGE = "<img src=x onerror=\"document.title='owned'\">"
LINK = "<a href='http://example.com'>%{x} $x$</a>"


def hostile(lr, update, *, epochs, seed):
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0 / epoch, IMAGE: 1.0 - lr, SCRIPT: float(epoch), LINK: lr}
        if seed % 3 == 0:
            raise ValueError(f"{SCRIPT}{IMAGE}\u2028\x1b[31m")

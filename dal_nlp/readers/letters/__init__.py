"""Which letters the bytes of a file stand for, where they are not in UTF-8."""

"""The page on which people answer in a browser."""

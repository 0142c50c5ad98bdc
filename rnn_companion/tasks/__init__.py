"""What networks are trained on beside prices: palindromes, text, watching."""

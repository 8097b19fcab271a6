"""Files with entities: tags of words, CoNLL, and what tools export."""

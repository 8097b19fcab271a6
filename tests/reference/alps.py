"""Surprisal by hand: one text at a time, one word at a time."""

import math


def word_losses(language_model, tokenizer, text, added=("[CLS]", "[SEP]")):
    """(place, cross-entropy) of every word of a text that nobody masks."""
    encoded = tokenizer(text, return_tensors="pt")
    logits = language_model(**encoded).logits[0].double().tolist()
    found = []
    for place, token in enumerate(encoded["input_ids"][0].tolist()):
        if tokenizer.convert_ids_to_tokens(token) not in added:
            total = sum(math.exp(value) for value in logits[place])
            found.append((place, -math.log(math.exp(logits[place][token]) / total)))
    return found

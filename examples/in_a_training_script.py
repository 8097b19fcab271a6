"""Choose what to label next inside a training script of one's own, here after a `transformers.Trainer`.

    python examples/in_a_training_script.py MODEL OUT

MODEL is a folder or Hub id of an encoder; OUT is where the trainer may write.
"""

import sys

from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

import dal_nlp

LABELED = [("a lovely film", "good"), ("a dull story", "bad"), ("very fine scene", "good"), ("an awful plot", "bad")]
UNLABELED = ["the actor is superb", "it was quite cold and sad", "a film", "the plot is bad and the actor is good"]

if __name__ == "__main__":
    source, out = sys.argv[1:]
    names = ["bad", "good"]
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForSequenceClassification.from_pretrained(source, id2label=dict(enumerate(names)))
    texts, labels = zip(*LABELED, strict=True)
    train = Dataset.from_dict({**tokenizer(list(texts)), "labels": [names.index(label) for label in labels]})
    arguments = TrainingArguments(out, max_steps=4, report_to=[], disable_tqdm=True, save_strategy="no")
    trainer = Trainer(model, arguments, train_dataset=train, processing_class=tokenizer)
    trainer.train()

    picked = dal_nlp.select(trainer.model, tokenizer, UNLABELED, k=2, strategy="margin", labeled=LABELED)
    for position, score in zip(picked.positions, picked.scores, strict=True):
        print(f"{score:.3f}  {UNLABELED[position]}")

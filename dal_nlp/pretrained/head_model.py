"""Classifiers of an encoder that stays as it is, some layers' states of texts or of tokens, and one linear layer.

No family of transformers has a classifier of this form. So transformers copies this file, that of the configuration and
``pooling`` beside a saved model, which then loads where this package is not installed (``trust_remote_code=True``). For
that, the files import nothing of the package but each other, and relatively.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput

from .head_config import HeadConfig
from .pooling import pool_states


class EncoderWithHead(PreTrainedModel):  # type: ignore[no-untyped-call]
    """What ``--train head`` trains, as a model of its own; ``import dal_nlp`` makes the Auto classes know its kinds.

    Args:
        config: Of the encoder and of the labels.
    """

    config_class = HeadConfig
    base_model_prefix = "base"

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.base = AutoModel.from_config(AutoConfig.for_model(**config.base))  # type: ignore[no-untyped-call]
        self.classifier = nn.Linear(config.width * len(config.depths), len(config.id2label or {}))
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def of(
        cls,
        base: nn.Module,
        head: nn.Linear,
        labels: list[str],
        depths: Sequence[int] = (100,),
        window: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        pooling: str = "mean",
        skip: int = 0,
    ) -> Self:
        """Put a pretrained encoder and a trained layer together.

        ``depths``, ``window``, ``pooling`` and ``skip`` are as in ``HeadConfig``; ``settings`` are further ones of it.
        """
        inner: Any = base.config
        id2label = dict(enumerate(labels))
        label2id = {label: i for i, label in id2label.items()}
        width = head.in_features // len(depths)
        values = {name: value for name, value in inner.to_dict().items() if name != "_name_or_path"}  # of this machine
        config = HeadConfig(values, width, depths, window, pooling, skip, id2label=id2label, label2id=label2id)
        config.update(dict(settings or {}))
        model = cls(config)
        model.base.load_state_dict(base.state_dict())
        model.classifier.load_state_dict(head.state_dict())
        model.eval()  # type: ignore[no-untyped-call]
        return model

    def pooled(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return what the layers' states over the tokens of R texts are pooled to, (R, L H), and all states."""
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        encoder = self.base.get_encoder() if self.base.config.is_encoder_decoder else self.base
        result = encoder(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True, **kinds)
        layers, last = result.hidden_states, len(result.hidden_states) - 1  # the embeddings are the first
        read = [layers[round(last * depth / 100)] for depth in self.config.depths]
        return torch.cat([self._vectors(layer, attention_mask) for layer in read], 1), layers

    def _vectors(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return a vector of each text from the states (R, T, H) of one layer."""
        return pool_states(states, mask, self.config.pooling, self.config.skip)

    def _shown(self, layers: tuple[Tensor, ...], mask: Tensor) -> tuple[Tensor, ...]:
        """Return states (R, T, H) of which each token's mean is the text's vector, for those who read hidden states."""
        if (self.config.pooling, self.config.skip) == ("mean", 0):
            return layers
        return tuple(self._vectors(layer, mask)[:, None].expand_as(layer) for layer in layers)


class HeadModel(EncoderWithHead):  # type: ignore[no-untyped-call]
    """What ``--train head`` trains of texts: a sequence classifier of the pooled states."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Return the logits of R texts, (R, C), and their mean cross-entropy where labels are given.

        Its hidden states have the mean that the layer reads, which for other poolings than the mean are all the same.
        Where a text has any number of labels, these are (R, C), 1 or 0, and the cross-entropies binary.
        A text that is longer than a window is read in several, and has no hidden states.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = None
        if self.config.window is not None and input_ids.shape[1] > self.config.window["size"]:
            logits = torch.stack([self._long(row[kept.bool()]) for row, kept in zip(input_ids, mask, strict=True)])
        else:
            pooled, layers = self.pooled(input_ids, mask, token_type_ids)
            logits, states = self.classifier(pooled), self._shown(layers, mask) if output_hidden_states else None
        loss = None
        if labels is not None and self.config.problem_type == "multi_label_classification":
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits))
        elif labels is not None:
            loss = nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=states)

    def _long(self, tokens: Tensor) -> Tensor:
        """Return the logits of one text, (C,), of its tokens (n,): those of its windows, weighed by their tokens."""
        size, prefix, suffix = (self.config.window[name] for name in ("size", "prefix", "suffix"))
        inner = tokens[len(prefix) : len(tokens) - len(suffix)]
        around = [tokens.new_tensor(ids) for ids in (prefix, suffix)]
        parts = torch.split(inner, size - len(prefix) - len(suffix))
        rows = [torch.cat([around[0], part, around[1]]) for part in parts]
        weights = torch.tensor([float(len(row)) for row in rows], device=tokens.device)
        logits = torch.cat([self(row[None]).logits for row in rows])
        return (logits * weights[:, None]).sum(0) / weights.sum()


class WordHeadModel(EncoderWithHead):  # type: ignore[no-untyped-call]
    """What ``--train head`` trains of words: a token classifier of the states themselves."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> TokenClassifierOutput:
        """Return the logits of the tokens of R texts, (R, T, C), and their mean cross-entropy with labels."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        _, layers = self.pooled(input_ids, mask, token_type_ids)
        last = len(layers) - 1
        logits = self.classifier(torch.cat([layers[round(last * depth / 100)] for depth in self.config.depths], -1))
        loss = None if labels is None else nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return TokenClassifierOutput(loss=loss, logits=logits, hidden_states=layers if output_hidden_states else None)


HeadConfig.register_for_auto_class()  # type: ignore[no-untyped-call]
HeadModel.register_for_auto_class("AutoModelForSequenceClassification")  # type: ignore[no-untyped-call]
WordHeadModel.register_for_auto_class("AutoModelForTokenClassification")  # type: ignore[no-untyped-call]
AutoModelForSequenceClassification.register(HeadConfig, HeadModel, exist_ok=True)
AutoModelForTokenClassification.register(HeadConfig, WordHeadModel, exist_ok=True)

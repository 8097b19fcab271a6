"""A sequence classifier of an encoder that stays as it is, the mean of its last states, and one linear layer."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from dal_nlp.learners.head_config import HeadConfig


class HeadModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """What ``--train head`` trains, as a model of its own; ``import dal_nlp`` makes the Auto classes know it.

    Args:
        config: Of the encoder and of the labels.
    """

    config_class = HeadConfig
    base_model_prefix = "base"

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.base = AutoModel.from_config(AutoConfig.for_model(**config.base))  # type: ignore[no-untyped-call]
        self.classifier = nn.Linear(config.width, len(config.id2label or {}))
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def of(cls, base: nn.Module, head: nn.Linear, labels: list[str]) -> "HeadModel":
        """Put a pretrained encoder and a trained layer together."""
        inner: Any = base.config
        id2label = dict(enumerate(labels))
        label2id = {label: i for i, label in id2label.items()}
        config = HeadConfig(inner.to_dict(), head.in_features, id2label=id2label, label2id=label2id)
        model = cls(config)
        model.base.load_state_dict(base.state_dict())
        model.classifier.load_state_dict(head.state_dict())
        model.eval()  # type: ignore[no-untyped-call]
        return model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Return the logits of R texts, (R, C), and their mean cross-entropy where labels are given."""
        pooled, states = self.pooled(input_ids, attention_mask, token_type_ids)
        logits = self.classifier(pooled)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=states if output_hidden_states else None
        )

    def pooled(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the mean of the encoder's last states over the tokens of R texts, (R, H), and all states."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        encoder = self.base.get_encoder() if self.base.config.is_encoder_decoder else self.base
        result = encoder(input_ids=input_ids, attention_mask=mask, output_hidden_states=True, **kinds)
        states = result.hidden_states[-1]
        weights = mask[..., None].to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1), result.hidden_states

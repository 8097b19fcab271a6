"""The configuration of ``head_model.HeadModel``; apart from it, because it needs no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedConfig


class HeadConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """An encoder's configuration, and the labels of the layer on top of it."""

    model_type = "dal_nlp_head"

    def __init__(
        self,
        base: dict[str, Any] | None = None,
        width: int = 1,
        depths: Sequence[int] = (100,),
        window: Mapping[str, Any] | None = None,
        pooling: str = "mean",
        skip: int = 0,
        **settings: Any,
    ) -> None:
        """Take over settings.

        Args:
            base: The encoder's configuration, with its ``model_type``.
            width: Numbers of its hidden states.
            depths: Of the layers whose states are read, in per cent of the encoder.
            window: How long texts are cut, the fields of ``text_windows.Window``; None where they are not.
            pooling: How the states of a text become one vector, see ``pooling.pool_states``.
            skip: Tokens at the start of a text that do not count in it, likewise.
            settings: Those that every configuration of transformers has, ``id2label`` among them.
        """
        self.base, self.width, self.depths = base or {}, width, list(depths)
        self.pooling, self.skip = pooling, skip
        self.window = dict(window) if window else None
        super().__init__(**settings)

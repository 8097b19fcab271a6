"""Masked language models: whether a folder or Hub id has one, and loading it."""

import torch
from torch import nn

from dal_nlp.core.errors import Unsupported
from dal_nlp.pretrained.loading import load_config, located, quiet_loading


def has_masked_lm(source: str) -> bool:
    """Tell from the configuration of a folder or Hub id alone whether it was saved with a masked-LM head.

    Raises:
        UserError: There is no configuration to be had.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    config = load_config(source)
    kind = config.model_type
    # Decoders guess a token from those before it. ELECTRA's pretraining head tells real words from replaced ones.
    if config.is_encoder_decoder or kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return False
    saved = config.architectures or []
    both = kind != "electra" and any(name.endswith("ForPreTraining") for name in saved)
    return both or MODEL_FOR_MASKED_LM_MAPPING_NAMES[kind] in saved


def load_masked_lm(source: str) -> nn.Module:
    """Load the masked language model of a folder or Hub id in fp32 on the CPU, in evaluation mode.

    Raises:
        Unsupported: The weights of its head are not there.
    """
    from transformers import AutoModelForMaskedLM

    quiet_loading()
    with located(source) as (name, revision):
        model, loading_info = AutoModelForMaskedLM.from_pretrained(
            name,
            revision=revision,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if loading_info["missing_keys"]:
        raise Unsupported(
            f"The model {source} comes without the weights of a masked-LM head: use another --model, such as bert, or "
            "another strategy."
        )
    loaded: nn.Module = model.eval()
    return loaded

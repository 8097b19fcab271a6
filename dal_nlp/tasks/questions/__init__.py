"""Questions with contexts: windows of tokens, the outcomes that are answer spans, and what machines say of them."""

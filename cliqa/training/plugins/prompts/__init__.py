"""Methods that learn prompts beside a frozen transformer: the model is `PromptedTransformer`."""

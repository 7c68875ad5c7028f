"""The model: messages, tags, criteria and folds. Pure: the standard library and msgspec."""

"""The explorers as an app without code."""

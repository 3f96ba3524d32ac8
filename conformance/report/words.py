"""Words: what the reports themselves say, in each language. English texts are their own keys; what the run has seen stays as it is."""

from spec.catalogue import Language

ZH: dict[str, str] = {}


def said(text: str, language: Language) -> str:
    """A text of a report's own in a language. Raises KeyError for one that nobody has translated."""
    return text if language is Language.EN else ZH[text]

"""Makes the table of prices, crates/engine/src/prices.tsv, from the Python package genai-prices (MIT), which people keep with a reference for each price.

    pip install genai-prices && python3 xtask/prices.py DATE > crates/engine/src/prices.tsv

DATE is when that version of the package was published. Only models that write text are taken, and of these the standard price of each.
"""

import re
import sys
from importlib.metadata import version

from genai_prices.data import providers
from genai_prices.types import StartDateConstraint, TieredPrices

PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "google": "gemini"}
OTHER_WORK = re.compile(
    "image|audio|tts|realtime|transcribe|embedding|moderation|live|search|vision|whisper|dall|sora|veo|computer|robotics|instruct|banana|omni|turbo|ft[:-]"
)
FIELDS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def at(price, start):
    """The price of a million tokens in a request with more than `start` input tokens, in millionths of a dollar."""
    if isinstance(price, TieredPrices):
        price = max((tier for tier in price.tiers if tier.start <= start), key=lambda tier: tier.start, default=None) or price.base
        price = getattr(price, "price", price)
    return "" if price is None else str(round(price * 1_000_000))


def rows(model):
    for choice in model.prices if isinstance(model.prices, list) else [model.prices]:
        prices = getattr(choice, "prices", choice)
        since = getattr(choice, "constraint", None)
        if since is not None and not isinstance(since, StartDateConstraint):
            continue
        of = [getattr(prices, field, None) for field in FIELDS]
        if of[0] is None or of[1] is None:
            continue
        starts = {tier.start for price in of if isinstance(price, TieredPrices) for tier in price.tiers}
        for start in sorted(starts | {0}):
            yield [model.id, str(since.start_date) if since else "", str(start), *(at(price, start) for price in of)]


if __name__ == "__main__":
    print(f"# Prices of models: genai-prices {version('genai-prices')} (MIT), published {sys.argv[1]}. Made by xtask/prices.py; do not edit.")
    print("# provider, model, since, from so many input tokens; then for a million tokens, in millionths of a US dollar: input, output, cached input, cache write")
    table = []
    for provider in providers:
        for model in provider.models if provider.id in PROVIDERS else []:
            foreign = provider.id == "google" and not model.id.startswith("gemini-")
            if not foreign and not OTHER_WORK.search(model.id):
                table.extend([PROVIDERS[provider.id], *row] for row in rows(model))
    for row in sorted(table):
        print("\t".join(row))

"""Claims about what carries a decoding, and the rules, written before looking, by which findings decide them."""

from dina.analyses.image_rules import IMAGE_RULES
from dina.analyses.neural_rules import NEURAL_RULES
from dina.analyses.verdict import Rule, Verdict, judge

RULES: dict[str, Rule] = {**IMAGE_RULES, **NEURAL_RULES}
"""Every claim by name, in the order of the report."""

__all__ = ["RULES", "Rule", "Verdict", "judge"]

"""Claims about what carries a decoding, and the rules, written before looking, by which findings decide them."""

from dina.interpretation.verdicts.verdict import Rule, Verdict, judge

__all__ = ["Rule", "Verdict", "judge"]

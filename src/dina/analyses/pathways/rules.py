"""When both pathways of the image tower carry the decoding."""

from dina.analyses.verdict import BESIDE, MARGIN, Answer, Found, Rule, place_of, says

LOCAL, GLOBAL = ("pathway_masking", "shapley_local"), ("pathway_masking", "shapley_global")
COSTS = ("pathway_masking", "top1_loss_local"), ("pathway_masking", "top1_loss_global")
NETWORK = ("pathway_masking", "top1_loss_space_trained_network")
ALONE = (("pathway_refits", "top1_loss_local_alone"), ("pathway_refits", "top1_loss_global_alone"))


def _both_pathways(found: Found) -> tuple[Answer, str]:
    """Decide whether the local and the global pathway both carry the decoding of these towers."""
    shares, costs = (found[LOCAL], found[GLOBAL]), [found[key] for key in COSTS]
    margin = MARGIN * (shares[0].value + shares[1].value)
    places = [place_of(share, margin) for share in shares]
    local, whole, local_lost, whole_lost = (says(each, "points") for each in (*shares, *costs))
    reason = f"The local pathway (features with a place) contributes {local} to the top-1 accuracy, the global pathway (of the whole image) {whole}"
    reason += f". The accuracy lost is {local_lost} if the local pathway is masked, {whole_lost} if the global one is"
    refits = [found[key] for key in ALONE if key in found]
    aside = [
        f"If towers are trained with the {finding.name.split('_')[2]} pathway alone, the accuracy lost is {says(finding, 'points')}."
        for finding in refits
    ]
    if NETWORK in found:
        alone = says(found[NETWORK], "points")
        aside.insert(0, f"The global pathway contains a network trained on photographs; masking it alone loses {alone}.")
    notes = f"{BESIDE}{' '.join(aside)}" if aside else ""
    if margin > 0 and "below" in places:
        return "not supported", f"{reason}. One of them contributes less than a tenth of what both contribute together.{notes}"
    if not margin > 0 or places != ["above", "above"]:
        bound = f"{100 * margin:.2g}\u202fpoints, a tenth of what both contribute together" if margin > 0 else "zero"
        return "cannot tell", f"{reason}. The claim needs both intervals to lie above {bound}.{notes}"
    if not all(cost.low > 0 for cost in costs):
        return "cannot tell", f"{reason}. Masking one of them may cost nothing, so they may replace each other.{notes}"
    return "supported", f"{reason}.{notes}"


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "local_and_global": Rule(
        "Local features and features of the whole image both carry the decoding.",
        "image",
        "Contribution of each pathway to the accuracy, averaged over the orders in which pathways can join; accuracy lost if it is masked.",
        (LOCAL, GLOBAL, *COSTS),
        _both_pathways,
        (*ALONE, NETWORK),
    )
}

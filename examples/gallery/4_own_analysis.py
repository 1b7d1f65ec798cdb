"""
How do I ask a question of my own about a decoding?
===================================================

Example: are images of high contrast read out more surely? An analysis is a function of
a finished decoding. It returns arrays and *findings*: statistics, each beside what it
would be if there were nothing to find.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import dina

# %%
# A decoding
# ----------
# ``dina.decode`` splits, fits and returns everything that an analysis may read: the
# recording, the three parts of the split and both towers. Nothing is written.

small = {
    "n_neurons": 150,
    "n_stimuli": 300,
    "height": 24,
    "width": 60,
    "signal_to_noise": 1.0,
}
recording = dina.simulate("demo", settings=small)
settings = dina.Default().settings_type(
    spaces=(), stride=2, widths=(0.75, 1.7)
)  # fewer choices than the default, for speed
decoded = dina.decode(recording, "default", settings, test_fraction=0.3)
print(
    decoded.test.n_stimuli,
    "test images; maps of",
    len(decoded.channel_names),
    "channels, such as",
    decoded.channel_names[0],
)

# %%
# The question as a function
# --------------------------
# Its first line is the question; it stands above the answer on the page. How sure the
# decoder is of an image: the score of the right image minus the best score of any
# other. The null keeps contrasts and scores, and breaks only their pairing.


def contrast_and_lead(decoded):
    """Are images of high contrast read out more surely?"""
    scores = (
        decoded.scores()
    )  # (average response, image), the right ones on the diagonal
    right = np.diagonal(scores)
    best_other = np.where(np.eye(len(scores), dtype=bool), -np.inf, scores).max(axis=1)
    lead = right - best_other
    contrast = decoded.test.images.std(axis=(1, 2, 3))
    shuffled = np.random.default_rng(decoded.seed).permuted(
        np.tile(lead, (1000, 1)), axis=1
    )
    value, *null = (np.corrcoef(contrast, one)[0, 1] for one in (lead, *shuffled))
    finding = dina.Finding.from_draws(
        "correlation",
        value,
        "1",
        len(lead),
        null_draws=np.array(null),
        null="images shuffled",
    )
    return dina.PlainResult(
        xr.Dataset({"contrast": ("image", contrast), "lead": ("image", lead)}),
        (finding,),
    )


result = dina.analyse(decoded, contrast_and_lead)
print(result.findings()[0])

# %%
# The figure
# ----------

arrays = result.to_dataset()
figure, axis = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
axis.scatter(arrays["contrast"], arrays["lead"], s=14, color="black")
axis.axhline(0, color="grey", linewidth=0.8)
axis.set(
    xlabel="contrast of the image (deviation of its pixels)",
    ylabel="lead of the right image (score)",
)
figure

# %%
# How to read it, and what it does not mean
# -----------------------------------------
# Each point is a test image. Above zero the right image won; the higher, the more
# surely. A correlation above its null means that contrast and certainty go together
# beyond chance.
#
# It does not mean that contrast is *why*. Images of high contrast may also have more
# edges, or lie where more neurons look. To find out, change the contrast alone and
# decode again, as the analysis ``spatial_frequency`` does with frequencies.
#
# To keep the answer in a run and on its page, hand the function to
# ``dina.interpret_run(study, recording, [contrast_and_lead])``.

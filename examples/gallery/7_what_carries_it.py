"""
What carries the decoding: which frequencies, and which neurons?
================================================================

An accuracy says that images can be read out, and not what in them was read, nor by which
neurons. Each analysis of dina answers one such question about a finished decoding, with
numbers that stand beside what they would be if there were nothing to find.
"""

import dina

# %%
# A decoding
# ----------
# A simulated session whose neurons see nothing above 0.06 cycles per degree, so that the
# right answer to the first question is known. Pixels are 2 degrees wide; they could show
# up to 0.25 cycles per degree.

small = {"n_neurons": 150, "n_stimuli": 300, "height": 24, "width": 60}
planted = {"signal_to_noise": 1.0, "frequency_limit_cpd": 0.06}
recording = dina.simulate("demo", settings=small | planted)
settings = dina.Default().settings_type(spaces=(), stride=2, widths=(0.75, 1.7))
decoded = dina.decode(
    recording, "default", settings, test_fraction=0.2, n_resamples=500
)

# %%
# Which spatial frequencies
# -------------------------
# In the gallery, what lies above a cut-off is exchanged with that of another image. As
# long as the decoder still finds the right one, it did not need what was exchanged.

result = dina.analyse(decoded, "spatial_frequency")
print(next(one for one in result.findings() if one.name == "frequency_edge"))
dina.draw_analysis("spatial_frequency", result)["spatial_frequency"]

# %%
# How to read it: in *a*, follow the curve from the left. Where it stops rising, finer
# detail adds nothing; the purple line with its band is that edge and its interval. It
# should lie near the planted 0.06. In *b* the same question is put to scores instead of
# ranks, which still change where retrieval is nearly perfect.
#
# What it does not mean: that the *animal* sees nothing finer. The edge belongs to these
# neurons, these images and this decoder; and beyond the dotted line the pixels themselves
# hold nothing.

# %%
# Which neurons
# -------------
# Each neuron is removed from the decoder in turn. Its contribution is the margin of the
# right image that is lost without it.

result = dina.analyse(decoded, "contributions")
dina.draw_analysis("contributions", result)["contributions"]

# %%
# How to read it: on the left, how unequal the neurons are. In the middle, each neuron on
# training images against the same neuron on test images: what lies along the diagonal
# holds for new images, too. On the right, what the contributions go together with; marks
# inside the grey are no more than chance gives.
#
# What it does not mean: a neuron without contribution is not useless. Another one may
# carry the same, so that either of them can go. And a few large contributions do not make
# a *sparse code*: neurons differ in their signal-to-noise ratio, and that alone makes
# some count more. ``sparse_subsets`` asks whether there is more to it.
#
# In a kept run, ``dina.interpret_run(study, recording)`` does all quick analyses, puts
# them on the page, and ``dina verdict RUN`` says which published claims they support.

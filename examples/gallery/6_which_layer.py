"""
Which layer of a trained network explains V4?
=============================================

Are neurons of V4 explained by Gabor filters alone, or do they follow what a network
learnt from photographs, and from which of its layers? The answer needs a control that
has the same layers and has learnt nothing: the same network with permuted weights.

No recording of V4 comes with this page. A population is simulated that reads a late
layer, so that the right answer is known; the last section shows the two lines for a
measured recording.
"""

import numpy as np
import torch
from skimage import data

import dina
from dina.models.towers.image.efficientnet import read_efficientnet

# %%
# Neurons that read a layer
# -------------------------
# 150 colour patches of photographs that come with scikit-image, and 40 neurons. Each is
# a random mixture of what one layer of the trained network (EfficientNet-Lite0, the
# extra ``encoders-small``) says about the patch, plus noise.

generator = np.random.default_rng(0)
patches = []
for photograph in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket()):
    coarse = photograph[::2, ::2]
    rows, columns = (size // 32 for size in coarse.shape[:2])
    kept = coarse[: 32 * rows, : 32 * columns].reshape(rows, 32, columns, 32, 3)
    patches.append(kept.transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32))
images = generator.permutation(np.concatenate(patches))[:150]

planted = "block_10"
with torch.no_grad():
    contrast = torch.from_numpy((images - 128.0).astype(np.float32) / 64)
    layer = read_efficientnet((3, 32, 32)).look_up(contrast, None)[planted]
features = layer.flatten(2).mean(dim=2).numpy()  # mean over places
features = (features - features.mean(axis=0)) / features.std(axis=0)
drive = (
    features
    @ generator.standard_normal((features.shape[1], 40))
    / np.sqrt(features.shape[1])
)
stimulus_id = np.repeat(np.arange(150), 2)
responses = drive[stimulus_id] + 0.5 * generator.standard_normal((300, 40))
recording = dina.Recording(
    name="readers of a layer",
    images=images,
    stimulus_id=stimulus_id,
    responses=responses,
)

# %%
# The analysis
# ------------
# ``layer_depth`` predicts each neuron from Gabor channels, and asks what each layer
# adds: the fraction of variance by which left-out predictions improve. It does not read
# the towers, so that closed-form towers without training are enough here.

settings = dina.Default().settings_type(
    spaces=(), stride=4, widths=(1.1,), n_orientations=2, fit={"n_epochs": 0}
)
decoded = dina.decode(
    recording, "default", settings, response_transform="identity", n_resamples=500
)
result = dina.analyse(decoded, "layer_depth", {"n_permuted": 1})
for one in result.findings():
    print(one)

# %%
# The figure
# ----------

dina.draw_analysis("layer_depth", result)["layer_depth"]

# %%
# How to read it
# --------------
# For each layer, from the first to the last: what trained weights add to Gabor
# channels, beside what permuted weights add. Only the part above the permuted weights
# comes from what the network has learnt. A layer that lies highest, with its interval
# above the null as a whole, is the best of those tried. Here it should be the planted
# one or a neighbour of it, since neighbours carry nearly the same features.
#
# What it does not mean
# ---------------------
# - The best layer is not *where* the neurons sit in a hierarchy: another network with
#   other layers may do better.
# - A late layer is no evidence of meaning. It carries shape and texture, too.
# - Patches of the same four photographs resemble each other, so left-out patches are
#   easier to predict than new photographs.
#
# With a recording of yours
# -------------------------
# For V4 (Cowley et al. 2023), edit the line ``data`` of
# ``examples/recordings/cowley2023_201025.toml``, then run
#
# .. code-block:: sh
#
#    dina study examples/recordings/cowley2023_201025.toml --out runs/v4
#    dina interpret runs/v4 layer_depth
#
# Three permuted networks are then drawn and up to 1,000 images used, which takes some
# minutes.

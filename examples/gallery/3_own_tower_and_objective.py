"""
Does a tower or an objective of my own decode better?
=====================================================

An image tower is any network that turns images into maps, an objective any loss of a
batch of scores. Both take a few lines, and a study judges them like everything else.
Here: do two pathways of several layers gain anything over one layer of filters, and
does a margin train as well as the contrastive objective?
"""

import matplotlib.pyplot as plt
import pandas as pd
import torch

import dina

small = {
    "n_neurons": 150,
    "n_stimuli": 300,
    "height": 24,
    "width": 60,
    "signal_to_noise": 1.0,
}
recording = dina.simulate("demo", settings=small)

# %%
# A tower
# -------
# ``map_shape`` is the shape of the maps that ``forward`` returns; the neural tower
# learns to make maps of the same shape. This tower has sixteen learnt filters at every
# place, and keeps what is above zero.


class OneLayer(dina.ImageTower):
    """Sixteen learnt filters at every second place."""

    def __init__(self, image_shape):
        channels, height, width = image_shape
        super().__init__(
            image_shape, map_shape=(16, height // 2, width // 2), pathways=()
        )
        self.filters = torch.nn.Conv2d(channels, 16, 9, stride=2, padding=4)

    def forward(self, images, masked=()):
        return self.filters(images).relu()


# %%
# An objective
# ------------
# A batch holds the scores of all its pairs, those that belong together on the diagonal.


class Margin(dina.Objective):
    """The right image must win by a margin over every other one of the batch."""

    def forward(self, batch):
        lead = batch.scores.diagonal()[:, None] - batch.scores
        return torch.relu(1 - lead).mean()


# %%
# Three fits on the same split
# ----------------------------
# The preset *scratch* has two trained pathways and the contrastive objective; each
# variant replaces one part. All else is equal: images, neurons, split, seed, number of
# epochs.

settings = dina.StudySettings(
    preset="scratch",
    decoders=("dina",),
    split={"test_fraction": 0.2},
    dina={"fit": {"n_epochs": 10}},
)
variants = {
    "scratch as it is": dina.Scratch(),
    "one layer": dina.Scratch(image_tower=OneLayer),
    "one layer, margin": dina.Scratch(image_tower=OneLayer, objective=Margin),
}
first = {}
for name, preset in variants.items():
    table = dina.run_study(recording, settings, preset=preset).table()
    first[name] = table.head(1)  # averaged responses, image from response
rows = pd.concat(first).droplevel(1)
rows

# %%
# The figure
# ----------

figure, axis = plt.subplots(figsize=(6, 2), layout="constrained")
bars = [rows["top1"] - rows["top1_low"], rows["top1_high"] - rows["top1"]]
axis.errorbar(rows["top1"], rows.index, xerr=bars, fmt="o", color="black")
axis.axvline(rows["chance"].iloc[0], color="grey", linestyle=":", label="chance")
axis.set(xlabel="top-1 accuracy (%), averaged responses", xlim=(0, 50))
axis.invert_yaxis()
axis.legend()
figure

# %%
# How to read it, and what it does not mean
# -----------------------------------------
# Sixty test images give wide intervals. Variants whose intervals overlap widely were
# not shown to differ, and the one that looks best here may look worst with another
# seed. To decide, keep each run (``out="runs/one-layer"``) over several seeds, and let
# ``dina compare`` pair them query by query.
#
# Ten epochs are few, too. A tower that learns more slowly is not a worse tower: give
# each its best budget, chosen by validation images and never by the test images.
# Whoever tries many variants on the same test images finds a good one by luck.

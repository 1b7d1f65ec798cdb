"""
How well can the images be read out of this recording?
======================================================

From the response of many neurons, dina names which of the held-out images was shown.
How often is the answer right, and is that more than a simpler decoder reaches with the
same responses?
"""

from pathlib import Path
from tempfile import mkdtemp

import dina

# %%
# The recording
# -------------
# A small session of mouse V1 is simulated, so that this example needs no data: 150
# neurons saw 300 images twice. With a recording of yours, write ``recording =
# dina.read("my_session/")`` and leave the next three lines out.

small = {
    "n_neurons": 150,
    "n_stimuli": 300,
    "height": 24,
    "width": 60,
    "signal_to_noise": 1.0,
}
recording = dina.simulate("demo", settings=small)
print(
    recording.n_neurons,
    "neurons,",
    recording.n_trials,
    "trials of",
    len(recording.images),
    "images",
)

# %%
# The study
# ---------
# ``run_study`` holds some of the images back (here a fifth), fits dina and its rivals
# to the others, and asks all of them the same questions. The settings keep this example
# short: two rivals and a small version of the default. Without them,
# ``dina.run_study(recording, out="runs/first")`` does everything.

short = dina.StudySettings(
    decoders=("dina", "ridge", "ideal_observer"),
    split={"test_fraction": 0.2},
    dina={"spaces": [], "stride": 2, "widths": [0.75, 1.7]},
)
runs = Path(mkdtemp())  # write a folder of yours: Path("runs")
study = dina.run_study(recording, short, runs / "first")
study.table()

# %%
# The figure
# ----------
# Every figure of the page can be had by its name. A notebook shows it;
# ``.savefig("accuracy.pdf")`` keeps it.

figures = dina.draw_run(study)
figures["accuracy"]

# %%
# How to read it
# --------------
# Each mark is the share of held-out images for which the first answer is right, with
# its 95 % interval; the dashed line is chance, 1 of 60. Filled marks are averages of
# both presentations, hollow marks single ones. Read the figure from chance upwards:
# *ridge* goes from responses to pixels by a linear map, *dina* compares maps. The
# *ideal observer* knows how this session was simulated; a measured recording has no
# such row. Over many images it is the best of the decoders that take responses as they
# are; over 60, another one may pass it by luck, or because it transforms responses
# first.
#
# Two decoders differ only if the interval of their *difference* leaves zero out. It is
# narrower than their own intervals suggest, since both answered the same questions:

figures["differences_top1"]

# %%
# What it does not mean
# ---------------------
# - An accuracy belongs to its gallery. One of 30 is easier to name than one of 280:
#   compare only numbers with the same chance.
# - A high accuracy does not say *what* in the images was read, nor which neurons carry
#   it. ``dina.interpret_run(study, recording)`` asks that.
# - Sixty images are few. The intervals say how far another sixty could be from these,
#   and nothing about other animals.

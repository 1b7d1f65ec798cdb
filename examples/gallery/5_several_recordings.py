"""
Do several animals decode better together?
==========================================

Three mice saw the same images. One image tower can be fitted for all of them, with a
neural tower for each mouse. Does a mouse gain by the others, compared with towers
fitted to it alone?
"""

from pathlib import Path
from tempfile import mkdtemp

import dina
from dina.study import read_together_settings

# %%
# Three recordings of the same images
# -----------------------------------
# Simulated mice, with other neurons and other noise. Measured recordings go together if
# they share the word ``image_set``, so that one identity means the same image in all of
# them.

small = {
    "n_neurons": 50,
    "n_stimuli": 160,
    "height": 24,
    "width": 48,
    "signal_to_noise": 2.0,
}
mice = [dina.simulate("demo", settings=small, mouse=mouse) for mouse in range(3)]
print(len(mice), "mice,", mice[0].n_neurons, "neurons each")

# %%
# Together and alone
# ------------------
# Every recording is fitted with the others, alone, and as one that joins the others
# with few of its images. The settings keep this example short; ``dina.run_study(mice,
# out="runs/together")`` does everything.

short = read_together_settings(
    overrides=[
        "dina.spaces=[]",
        "dina.stride=2",
        "dina.widths=[1.1]",
        "dina.n_orientations=2",
        "dina.fit.n_epochs=1",
        "sizes=[50]",
        "split.test_fraction=0.25",
        "response_transform=identity",
    ]
)
runs = Path(mkdtemp())  # write a folder of yours: Path("runs")
study = dina.run_study(mice, short, runs / "together")

# %%
# The figure
# ----------

dina.draw_run(study)["together"]

# %%
# How to read it
# --------------
# Each row is a mouse: its accuracy with an image tower that all mice share, and with
# towers fitted to it alone. Dashed: the upper end of chance. The two marks of a row
# answered the same questions, so that their difference is surer than either of them;
# ``study.summary`` and the page give it with its interval.
#
# What it does not mean
# ---------------------
# The mean gain is over *mice*, and its interval allows for other mice. With three of
# them no p-value can fall below 1 in 4, however large the gain. More images of the same
# mice do not help; more mice do. And the test images are the same for all mice: an
# image that is easy for one may be easy for all.

"""
How do I decode arrays of my own?
=================================

Three arrays are enough: the images, one number for each trial and neuron, and which
image each trial showed. Here the images are patches of photographs that come with
scikit-image, and the neurons are made up in ten lines, so that you can put yours in
their place.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.color import rgb2gray
from skimage.filters import gabor_kernel

import dina

# %%
# Three arrays
# ------------
# ``images`` has the axes (image, height, width): patches of 32 × 32 pixels that do not
# overlap.

generator = np.random.default_rng(0)
colour = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
photographs = [rgb2gray(photograph) for photograph in colour] + [data.camera() / 255]
patches = []
for photograph in photographs:
    coarse = photograph[::2, ::2]  # every second pixel, so that a patch shows more
    rows, columns = (size // 32 for size in coarse.shape)
    kept = coarse[: 32 * rows, : 32 * columns].reshape(rows, 32, columns, 32)
    patches.append(kept.swapaxes(1, 2).reshape(-1, 32, 32))
images = (255 * np.concatenate(patches)).astype(np.uint8)
n_images = len(images)
print(n_images, "images")

# %%
# ``responses`` has the axes (trial, neuron), in any unit. Each of these 100 neurons has
# a Gabor filter somewhere in the image, a threshold, and half as much noise as signal.
# Each image is shown twice, in a random order, and ``stimulus_id`` says which image
# each trial showed, counted from 0.

fields = np.zeros((100, 32, 32))
for field in fields:
    frequency, angle = generator.uniform(0.08, 0.2), generator.uniform(0, np.pi)
    kernel = np.real(gabor_kernel(frequency, theta=angle, sigma_x=3, sigma_y=3))
    row, column = (generator.integers(0, 33 - size) for size in kernel.shape)
    field[row : row + kernel.shape[0], column : column + kernel.shape[1]] = kernel
drive = np.maximum(np.tensordot(images / 255 - 0.5, fields, axes=([1, 2], [1, 2])), 0)
stimulus_id = generator.permutation(np.repeat(np.arange(n_images), 2))
noise = generator.standard_normal((2 * n_images, 100))
responses = drive[stimulus_id] + 0.5 * drive.std(axis=0) * noise

# %%
# One recording
# -------------
# ``dina.Recording`` checks that the arrays fit one another, and says what must hold
# where they do not. Images get an axis of channels, one for grey. As files the same
# arrays are ``images.npy``, ``responses.npy`` and ``stimulus_id.npy`` in a folder, and
# ``dina.read(folder)`` opens it.

recording = dina.Recording(
    name="patches", images=images[:, None], stimulus_id=stimulus_id, responses=responses
)
recording

# %%
# Fit, and ask about images never seen
# ------------------------------------
# The split is by image: no trial of a test image is ever learnt from, and
# near-identical images stay on one side.

train, test = dina.train_test_split(recording, test_fraction=0.2, seed=0)
settings = dina.Default().settings_type(
    spaces=(), stride=2, widths=(0.75, 1.7)
)  # fewer choices than the default, for speed
decoder = dina.ImageDecoder("default", settings, seed=0).fit(train)
print(decoder.evaluate(test))

# %%
# ``predict`` names the image that fits best to a single trial. One trial of each of
# five test images, and what dina says:

candidates, trials = np.unique(test.stimulus_id, return_index=True)
trials = trials[::10][:5]
guess = candidates[decoder.predict(test.responses[trials], images[candidates][:, None])]
figure, axes = plt.subplots(2, 5, figsize=(7, 3), layout="constrained")
for column, (right, said) in enumerate(
    zip(test.stimulus_id[trials], guess, strict=True)
):
    axes[0, column].imshow(images[right], cmap="gray", vmin=0, vmax=255)
    axes[1, column].imshow(images[said], cmap="gray", vmin=0, vmax=255)
    axes[1, column].set_xlabel("right" if said == right else "wrong")
axes[0, 0].set_ylabel("shown")
axes[1, 0].set_ylabel("dina's guess")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
figure

# %%
# How to read it, and what it does not mean
# -----------------------------------------
# Look at the wrong guesses first: do they share edges and brightness with the image
# that was shown? That hints at what is read, but five trials prove nothing; the
# accuracy above has an interval over all test images.
#
# Patches of one photograph resemble each other, and if they overlapped, a test image
# would be half known from training. That is leakage: the accuracy would be too high,
# and no interval would show it. dina keeps *near-identical* images on one side of the
# split, and cannot see more than that. Where your images are crops of one picture or
# frames of one film, choose some that share nothing, or leave whole groups out by hand
# with ``recording.select_trials``.

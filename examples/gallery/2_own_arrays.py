"""
How do I decode arrays of my own?
=================================

Three arrays are enough: the images, one number for each trial and neuron, and which image each trial showed. Here the images are
patches of photographs that come with scikit-image, and the neurons are made up in ten lines, so that you can put yours in their
place.
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
# ``images`` has the axes (image, height, width): 240 patches of 32 × 32 pixels.

generator = np.random.default_rng(0)
photographs = [rgb2gray(data.astronaut()), rgb2gray(data.chelsea()), rgb2gray(data.coffee()), data.camera() / 255]
images = np.empty((240, 32, 32), np.uint8)
for number in range(len(images)):
    photograph = photographs[number % len(photographs)][::3, ::3]  # every third pixel, so that a patch shows more of it
    row, column = (generator.integers(0, size - 32) for size in photograph.shape)
    images[number] = 255 * photograph[row : row + 32, column : column + 32]

# %%
# ``responses`` has the axes (trial, neuron), in any unit. Each of these 100 neurons has a Gabor filter somewhere in the image, a
# threshold, and as much noise as signal. Each image is shown twice, in a random order, and ``stimulus_id`` says which image each
# trial showed, counted from 0.

fields = np.zeros((100, 32, 32))
for field in fields:
    kernel = np.real(gabor_kernel(generator.uniform(0.08, 0.2), theta=generator.uniform(0, np.pi), sigma_x=3, sigma_y=3))
    row, column = generator.integers(0, 32 - kernel.shape[0] + 1), generator.integers(0, 32 - kernel.shape[1] + 1)
    field[row : row + kernel.shape[0], column : column + kernel.shape[1]] = kernel
drive = np.maximum(np.tensordot(images / 255 - 0.5, fields, axes=([1, 2], [1, 2])), 0)
stimulus_id = generator.permutation(np.repeat(np.arange(240), 2))
responses = drive[stimulus_id] + drive.std(axis=0) * generator.standard_normal((480, 100))

# %%
# One recording
# -------------
# ``dina.Recording`` checks that the arrays fit one another, and says what must hold where they do not. Images get an axis of
# channels, one for grey. As files the same arrays are ``images.npy``, ``responses.npy`` and ``stimulus_id.npy`` in a folder, and
# ``dina.read(folder)`` opens it.

recording = dina.Recording(name="patches", images=images[:, None], stimulus_id=stimulus_id, responses=responses)
recording

# %%
# Fit, and ask about images never seen
# ------------------------------------
# The split is by image: no trial of a test image is ever learnt from, and near-identical images stay on one side.

train, test = dina.train_test_split(recording, test_fraction=0.2, seed=0)
settings = dina.Default().settings_type(spaces=(), stride=2, widths=(0.75, 1.7))  # fewer choices than the default, for speed
decoder = dina.ImageDecoder("default", settings, seed=0).fit(train)
row = decoder.evaluate(test)
print(f"top-1 {100 * row.top1:.0f} % [{100 * row.top1_low:.0f}, {100 * row.top1_high:.0f}], chance {100 * row.chance_top1:.0f} %")

# %%
# ``predict`` names the image that fits best to a single trial. The first five trials of the test images, and what dina says:

shown = np.unique(test.stimulus_id)
guess = shown[decoder.predict(test.responses[:5], recording.images[shown])]
figure, axes = plt.subplots(2, 5, figsize=(7, 3), layout="constrained")
for column, (right, said) in enumerate(zip(test.stimulus_id[:5], guess, strict=True)):
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
# Look at the wrong guesses first: do they share edges and brightness with the image that was shown? That hints at what is read,
# but five trials prove nothing; the accuracy above has an interval over all test images.
#
# Patches of one photograph resemble each other. If they overlapped, a test image could be half known from training. dina keeps
# only *near-identical* images together. Where images come in groups (frames of one film, crops of one picture), choose images that
# do not overlap, or leave whole groups out by hand (``recording.select_trials``): otherwise the accuracy is too high. This is the
# leakage that published splits suffer from most often.

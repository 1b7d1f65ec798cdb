"""
How well can the images be read out of this recording?
======================================================

A recording holds images and the responses of many neurons to them. From each response, dina names which of the held-out images
was shown. This example simulates a small session of mouse V1, so that it needs no data.
"""

import dina

recording = dina.simulate("demo")
print(recording.n_neurons, "neurons,", recording.n_trials, "trials of", len(recording.images), "images")

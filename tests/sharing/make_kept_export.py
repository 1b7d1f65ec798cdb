"""Make the shared folder that the tests keep of a release: `python tests/sharing/make_kept_export.py`, once for each release."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import dina
from dina.signed_folder import write_checksums
from dina.version import __version__

WORDS = ("preset=scratch", "dina.pathway_width=4", "dina.rank=4", "dina.fit.n_epochs=3", "evaluation.n_resamples=100")


def main() -> None:
    """Study a tiny session, share it, and keep eight of its trials with their images beside it."""
    size = {"n_neurons": 12, "n_stimuli": 64, "height": 16, "width": 24, "n_subunits": 20, "n_broad_factors": 4}
    recording = dina.simulate("demo", seed=0, settings={**size, "n_spontaneous": 0})
    kept = Path(__file__).parent / f"release_{'_'.join(__version__.split('.')[:2])}"
    shutil.rmtree(kept, ignore_errors=True)
    with TemporaryDirectory() as folder:
        study = dina.run_study(recording, dina.read_settings(overrides=[*WORDS, 'decoders=["dina"]']), Path(folder) / "run")
        shared = dina.export_run(study, kept, recording, licence="CC0-1.0")
    for name in ("data/arrays/quality.nc", "data/arrays/gallery_size.nc", "data/README.md", "model/README.md"):
        (shared / name).unlink()  # nothing here reads them, and the folder should stay small
    for part in ("data", "model"):
        write_checksums(shared / part)
    gallery = dina.load(shared).arrays("retrieval_dina")["stimulus_id"].to_numpy()
    of_gallery = np.isin(recording.stimulus_id, gallery)
    np.savez_compressed(
        kept.with_suffix(".npz"),
        images=recording.images[gallery],
        responses=recording.responses[of_gallery],
        place=np.searchsorted(gallery, recording.stimulus_id[of_gallery]),
    )


if __name__ == "__main__":
    main()

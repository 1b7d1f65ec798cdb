"""Tiny vision transformers with random weights, saved to a folder and read back as frozen encoders."""

import json
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from dina.checks import DataError
from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.frozen_network import weight_digest
from dina.models.towers.image.vision_models import read_vision_model

TINY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
SHAPE = (1, 16, 64)


def save(kind, folder):
    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "clip":
            words = {
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "vocab_size": 9,
            }
            words |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
            model = transformers.CLIPModel(transformers.CLIPConfig(text_config=words, vision_config=TINY, projection_dim=24))
        elif kind == "vit":
            model = transformers.ViTModel(transformers.ViTConfig(**TINY))
        elif kind == "classifier":
            model = transformers.ViTForImageClassification(transformers.ViTConfig(**TINY, num_labels=3))
        else:
            rest = {key: value for key, value in TINY.items() if key != "intermediate_size"}
            model = transformers.Dinov2Model(transformers.Dinov2Config(**rest, mlp_ratio=2))
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("kind", ["clip", "vit", "dinov2"])
def test_patches_keep_their_places_in_an_image_that_is_not_square(kind, tmp_path):
    save(kind, tmp_path)
    encoder = read_vision_model(tmp_path, SHAPE)
    # 4 × 4 patches in training: 2 × 8 have the aspect of the image and are as many
    assert encoder.size == (16, 64)
    images = torch.zeros(2, *SHAPE)
    images[1, :, 8:, 40:48] = 2.0
    with torch.no_grad():
        embedded = read_vision_model(tmp_path, SHAPE, layer=0)(images)
        assert encoder(images).shape == (2, 32, 2, 8)
    changed = (embedded[0] - embedded[1]).abs().sum(0) > 1e-6
    assert changed.nonzero().tolist() == [[1, 5]]


@pytest.mark.parametrize(("kind", "n"), [("clip", 24), ("vit", 32), ("dinov2", 32)])
def test_the_vector_of_an_image_is_the_model_s_own_summary(kind, n, tmp_path):
    model = save(kind, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.4, 0.3]}))
    encoder = read_vision_model(tmp_path, (3, 32, 32), output="vector")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pixels = (0.5 + images * 64 / 255 - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.4, 0.3])[
        :, None, None
    ]
    with torch.no_grad():
        if kind == "clip":
            expected = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
        else:
            expected = model(pixel_values=pixels).pooler_output
        found = encoder(images)
    assert found.shape == (2, n, 1, 1)
    # position encodings are interpolated even where nothing changes: rounding
    torch.testing.assert_close(found[:, :, 0, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_model_without_a_summary_gives_its_class_token_the_same_at_each_load(tmp_path):
    model = save("classifier", tmp_path)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    encoders = [read_vision_model(tmp_path, (3, 32, 32), output="vector") for _ in range(2)]
    assert weight_digest(encoders[0]) == weight_digest(encoders[1])
    with torch.no_grad():
        first, second = (encoder(images) for encoder in encoders)
        expected = model.vit(pixel_values=(0.5 + images * 64 / 255 - 0.5) / 0.5).last_hidden_state[:, 0]
    assert torch.equal(first, second)
    torch.testing.assert_close(first[:, :, 0, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_folder_that_lacks_weights_of_a_layer_is_refused(tmp_path):
    save("vit", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    lost = [name for name in sorted(weights) if "layer.1" in name][:2]
    save_file(
        {name: tensor for name, tensor in weights.items() if name not in lost}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(DataError, match=r"must hold every weight of its model; it lacks \S+ and 1 more\."):
        read_vision_model(tmp_path, SHAPE)


def test_digests_tell_hidden_layers_and_outputs_of_one_model_apart(tmp_path):
    save("vit", tmp_path)
    told = [{"layer": 1}, {"layer": 2}, {"layer": 2, "output": "vector"}, {"layer": -1}]
    digests = [weight_digest(read_vision_model(tmp_path, SHAPE, **each)) for each in told]
    assert len(set(digests)) == 3
    assert digests[1] == digests[3]  # the same layer, counted from either end


def test_a_frozen_tower_of_a_saved_model_learns_statistics_and_lets_gradients_through_to_the_image(tmp_path):
    save("vit", tmp_path)
    tower = FrozenEncoder(SHAPE, read_vision_model(tmp_path, SHAPE, layer=1), n_components=8)
    images = torch.randn(20, *SHAPE, generator=torch.Generator().manual_seed(0))
    tower.learn_statistics(images)
    assert tower.map_shape == (8, 2, 8)
    seen = images[:2].clone().requires_grad_()
    (tower(seen)[0] * torch.arange(8.0)[:, None, None]).sum().backward()
    assert float(seen.grad[0].abs().sum()) > 0
    assert float(seen.grad[1].abs().sum()) == 0


def test_folders_without_a_model_and_layers_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"folder with config\.json and model\.safetensors"):
        read_vision_model(tmp_path, SHAPE)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(DataError, match="cannot be read as a vision model"):
        read_vision_model(tmp_path, SHAPE)
    save("vit", tmp_path / "vit")
    with pytest.raises(DataError, match="layer must be between -3 and 2 for vit; got 3"):
        read_vision_model(tmp_path / "vit", SHAPE, layer=3)


def test_without_transformers_the_extra_and_the_setting_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(DataError, match=r"folder of dina's source: pip install -e '\.\[encoders\]', or set encoder to 'gabor'"):
        read_vision_model(tmp_path, SHAPE)

"""The source `transformers` against the library: networks of images, texts and sounds built from small configurations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from isocortex.errors import DataError, StudyError
from isocortex.features import hubs
from isocortex.features.model import Context
from isocortex.features.network import NetworkModel
from isocortex.features.sources import OUTLINES, build, function_of

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
SMALL: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "the", "cat", "dog", "mat", "on", "and", "small"]


@pytest.fixture(autouse=True)
def quiet() -> None:
    tf.logging.set_verbosity_error()
    tf.logging.disable_progress_bar()


def made(context: Context, **entry: Any) -> NetworkModel:
    built = build({"source": "transformers", **entry}, context)
    assert isinstance(built, NetworkModel)
    return built


def saved(module: Any, folder: Path, *parts: Any) -> Any:
    for part in (module, *parts):
        part.save_pretrained(folder)
    return module.eval()


def images_of(processor: Any, pictures: list[np.ndarray]) -> torch.Tensor:
    return processor(images=[Image.fromarray(picture) for picture in pictures], return_tensors="pt")["pixel_values"]


def words() -> Any:
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=16,
    )


def vit(folder: Path) -> tuple[Any, Any]:
    torch.manual_seed(0)
    module = tf.ViTModel(tf.ViTConfig(**SMALL, image_size=32, patch_size=8))
    processor = tf.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4])
    return saved(module, folder, processor), processor


def clip(folder: Path) -> tuple[Any, Any, Any]:
    torch.manual_seed(1)
    text = {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 2, "bos_token_id": 1}
    config = tf.CLIPConfig(text_config=text, vision_config={**SMALL, "image_size": 32, "patch_size": 8}, projection_dim=6)
    processor = tf.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})
    tokenizer = words()
    return saved(tf.CLIPModel(config), folder, processor, tokenizer), processor, tokenizer


def test_blocks_of_a_vision_transformer(context: Context, pictures: list[np.ndarray]) -> None:
    module, processor = vit(context.root / "vit")
    names = ["layers.1", "layers.2@cls", "layers.2@mean", "pooler"]
    outline = function_of(OUTLINES["transformers"])({"path": "vit", "layers": None}, context)
    prefix = outline.layers[0].rpartition(".")[0]
    names = [name.replace("layers", prefix) for name in names]
    built = made(context, path="vit", layers=names)
    (found,) = built.features(pictures, names, [names[0]])
    with torch.no_grad():
        given = module(images_of(processor, pictures), output_hidden_states=True)
    hidden = [state.numpy() for state in given.hidden_states]
    np.testing.assert_allclose(found[names[0]]["activation"], hidden[2].reshape(4, -1), **CLOSE)
    maps = hidden[2][:, 1:].transpose(0, 2, 1).reshape(4, 16, 4, 4)
    np.testing.assert_allclose(found[names[0]]["maps"], maps, **CLOSE)
    np.testing.assert_allclose(found[names[1]]["activation"], hidden[3][:, 0], **CLOSE)
    np.testing.assert_allclose(found[names[2]]["activation"], hidden[3][:, 1:].mean(1), **CLOSE)
    np.testing.assert_allclose(found[names[3]]["activation"], given.pooler_output.numpy(), **CLOSE)
    assert outline.layers == (*(f"{prefix}.{index}" for index in range(3)), "pooler") == made(context, path="vit").layers


def test_registers_are_no_patches(context: Context, pictures: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    config = tf.Dinov2WithRegistersConfig(
        **{**SMALL, "num_hidden_layers": 2}, image_size=28, patch_size=14, num_register_tokens=4
    )
    processor = tf.BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28})
    module = saved(tf.Dinov2WithRegistersModel(config), context.root / "dino", processor)
    built = made(context, path="dino", layers=["layernorm@none", "layernorm@mean"])
    (found,) = built.features(pictures, built.layers, ["layernorm@mean"])
    with torch.no_grad():
        hidden = module(images_of(processor, pictures)).last_hidden_state.numpy()
    assert hidden.shape == (4, 9, 16)
    np.testing.assert_allclose(found["layernorm@none"]["activation"], hidden.reshape(4, -1), **CLOSE)
    np.testing.assert_allclose(found["layernorm@mean"]["activation"], hidden[:, 5:].mean(1), **CLOSE)
    np.testing.assert_allclose(found["layernorm@mean"]["maps"], hidden[:, 5:].transpose(0, 2, 1).reshape(4, 16, 2, 2), **CLOSE)


def test_both_towers_of_a_clip(context: Context, pictures: list[np.ndarray]) -> None:
    module, processor, tokenizer = clip(context.root / "clip")
    image = made(context, path="clip", layers=["vision_model.encoder.layers.1@cls", "visual_projection"])
    (found,) = image.features(pictures, image.layers)
    with torch.no_grad():
        seen = module.vision_model(images_of(processor, pictures), output_hidden_states=True)
        projected = module.visual_projection(seen.pooler_output)
    np.testing.assert_allclose(found[image.layers[0]]["activation"], seen.hidden_states[2][:, 0], **CLOSE)
    np.testing.assert_allclose(found["visual_projection"]["activation"], projected, **CLOSE)
    text = made(context, path="clip", input="caption", layers=["text_model.encoder.layers.1", "text_projection"])
    assert (image.input, text.input) == ("images", "table")
    (found,) = text.features(context.table, text.layers)
    for row, caption in enumerate(context.table["caption"]):
        with torch.no_grad():
            read = module.text_model(**tokenizer(caption, return_tensors="pt"), output_hidden_states=True)
            projected = module.text_projection(read.pooler_output)
        np.testing.assert_allclose(found[text.layers[0]]["activation"][row], read.hidden_states[2][0].mean(0), **CLOSE)
        np.testing.assert_allclose(found["text_projection"]["activation"][row], projected[0], **CLOSE)
    ladders = [
        function_of(OUTLINES["transformers"])({"path": "clip", "layers": None, "input": of}, context).layers
        for of in ("image", "caption")
    ]
    assert [ladder[-1] for ladder in ladders] == ["visual_projection", "text_projection"]
    assert [len(ladder) for ladder in ladders] == [4, 4]


def test_a_head_that_pools_is_the_end_of_the_ladder(context: Context) -> None:
    """SigLIP's `head` gives the embedding, no class scores; its texts are padded to one length, as in training."""
    sizes = {"text_config": {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 16}}
    config = tf.SiglipConfig(**sizes, vision_config={**SMALL, "image_size": 32, "patch_size": 8})
    processor = tf.SiglipImageProcessor(size={"height": 32, "width": 32})
    module = saved(tf.SiglipModel(config), context.root / "siglip", processor, words())
    assert made(context, path="siglip").layers[-1] == "vision_model.head"
    built = made(context, path="siglip", input="caption", layers=["text_model.encoder.layers.0", "text_model.head"])
    (found,) = built.features(context.table, built.layers)
    for row, caption in enumerate(context.table["caption"]):
        given = words()(caption, padding="max_length", max_length=16, return_tensors="pt")
        with torch.no_grad():
            read = module.text_model(given["input_ids"], attention_mask=given["attention_mask"], output_hidden_states=True)
        own = given["attention_mask"][0].bool()
        np.testing.assert_allclose(found[built.layers[0]]["activation"][row], read.hidden_states[1][0][own].mean(0), **CLOSE)
        np.testing.assert_allclose(found["text_model.head"]["activation"][row], read.pooler_output[0], **CLOSE)


def test_encoders_of_networks_that_also_decode(context: Context) -> None:
    torch.manual_seed(5)
    config = tf.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=len(WORDS))
    module = saved(tf.T5Model(config), context.root / "t5", words())
    built = made(context, path="t5", layers=["encoder.block.0@last", "encoder.final_layer_norm"])
    (found,) = built.features(context.table, built.layers)
    for row, caption in enumerate(context.table["caption"]):
        with torch.no_grad():
            read = module.encoder(words()(caption, return_tensors="pt")["input_ids"], output_hidden_states=True)
        np.testing.assert_allclose(found["encoder.block.0@last"]["activation"][row], read.hidden_states[1][0, -1], **CLOSE)
        expected = read.last_hidden_state[0].mean(0)
        np.testing.assert_allclose(found["encoder.final_layer_norm"]["activation"][row], expected, **CLOSE)


def bert(folder: Path) -> tuple[Any, Any]:
    torch.manual_seed(2)
    module = tf.BertModel(tf.BertConfig(**SMALL, vocab_size=len(WORDS), max_position_embeddings=16))
    tokenizer = words()
    return saved(module, folder, tokenizer), tokenizer


@pytest.mark.parametrize("column", ["caption", "kind"])
def test_texts_of_a_column_are_read_as_one_by_one(context: Context, column: str) -> None:
    """Captions differ in length: what one is given depends on no other."""
    module, tokenizer = bert(context.root / "bert")
    names = [f"encoder.layer.1@{pool}" for pool in ("mean", "cls", "last")] + ["encoder.layer.1"]
    built = made(context, path="bert", input=column, layers=names, batch=3)
    found = [np.concatenate([batch[name]["activation"] for batch in built.features(context.table, names)]) for name in names]
    for row, text in enumerate(context.table[column]):
        with torch.no_grad():
            hidden = module(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[2][0].numpy()
        for values, expected in zip(found, (hidden.mean(0), hidden[0], hidden[-1], hidden.mean(0)), strict=True):
            np.testing.assert_allclose(values[row], expected, **CLOSE)


def test_an_empty_caption_names_its_stimulus(context: Context) -> None:
    bert(context.root / "bert")
    context.table.loc[2, "caption"] = "  "
    built = made(context, path="bert", layers=["pooler"])
    with pytest.raises(DataError, match=r"stimuli: the caption of stimulus 's2' is empty, and models\.m reads it"):
        list(built.features(context.table, built.layers))


def test_a_mended_caption_changes_the_digest(context: Context) -> None:
    bert(context.root / "bert")
    before = made(context, path="bert", layers=["pooler"]).digest
    assert made(context, path="bert", layers=["pooler"]).digest == before
    context.table.loc[2, "caption"] = "the mat"
    assert made(context, path="bert", layers=["pooler"]).digest != before


def sound(seconds: float, rate: int, pitch: float = 200.0) -> tuple[np.ndarray, int]:
    return np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate).astype(np.float32), rate


def test_sounds_of_different_lengths(context: Context) -> None:
    torch.manual_seed(3)
    convolutions = {"conv_dim": (8, 8), "conv_kernel": (10, 3), "conv_stride": (5, 2), "num_feat_extract_layers": 2}
    config = tf.Wav2Vec2Config(**SMALL, **convolutions, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2)
    extractor = tf.Wav2Vec2FeatureExtractor(sampling_rate=8000)
    module = saved(tf.Wav2Vec2Model(config), context.root / "w2v", extractor)
    names = ["encoder.layers.1@mean", "encoder.layers.1@last", "feature_extractor.conv_layers.1@mean"]
    built = made(context, path="w2v", layers=names)
    assert built.input == "sounds"
    sounds = [sound(0.2, 8000), sound(0.3, 8000), sound(0.2, 8000, 300.0)]
    (found,) = built.features(sounds, names)
    for row, (samples, rate) in enumerate(sounds):
        with torch.no_grad():
            given = extractor(samples, sampling_rate=rate, return_tensors="pt")["input_values"]
            heard = module(given, output_hidden_states=True)
            early = module.feature_extractor(given)
        np.testing.assert_allclose(found[names[0]]["activation"][row], heard.hidden_states[2][0].mean(0), **CLOSE)
        np.testing.assert_allclose(found[names[1]]["activation"][row], heard.hidden_states[2][0, -1], **CLOSE)
        np.testing.assert_allclose(found[names[2]]["activation"][row], early[0].mean(1), **CLOSE)
    with pytest.raises(
        DataError,
        match=r"found shapes \(\d+,\) and \(\d+,\) for different stimuli, expected one; pool it",
    ):
        plain = made(context, path="w2v", layers=["encoder.layers.1@none"])
        list(plain.features(sounds, plain.layers))
    fast = made(context, path="w2v", layers=names).prepare(sound(0.2, 16000))
    assert fast.arguments["input_values"].shape == (1600,)


def test_sounds_through_a_spectrogram(context: Context) -> None:
    torch.manual_seed(4)
    extractor = tf.ASTFeatureExtractor(num_mel_bins=16, max_length=64)
    sizes = {"num_mel_bins": 16, "max_length": 64, "patch_size": 8, "frequency_stride": 8, "time_stride": 8}
    module = saved(tf.ASTModel(tf.ASTConfig(**SMALL, **sizes)), context.root / "ast", extractor)
    built = made(context, path="ast", layers=["layernorm"])
    sounds = [sound(0.3, 16000), sound(0.5, 16000)]
    (found,) = built.features(sounds, built.layers)
    with torch.no_grad():
        given = [extractor(samples, sampling_rate=16000, return_tensors="pt")["input_values"] for samples, _ in sounds]
        hidden = module(torch.cat(given)).last_hidden_state
    np.testing.assert_allclose(found["layernorm"]["activation"], hidden.mean(1), **CLOSE)


def test_the_untrained_twin_never_reads_weights(context: Context) -> None:
    folder = context.root / "vit"
    trained, _ = vit(folder)
    (folder / "model.safetensors").unlink()
    first, again, other = (made(context, path="vit", weights="random", seed=seed, layers=["pooler"]) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    with pytest.raises(StudyError, match=r"models\.m\.path: .*vit gives no Model \(OSError"):
        made(context, path="vit")
    assert not torch.equal(first._module.state_dict()["pooler.dense.weight"], trained.state_dict()["pooler.dense.weight"])


def test_what_the_numbers_depend_on_is_in_the_digest(context: Context) -> None:
    folder = context.root / "vit"
    vit(folder)
    entry = {"path": "vit", "layers": ["pooler"]}
    digests = [made(context, **entry).digest, made(context, **entry).digest]
    assert digests[0] == digests[1]
    state = load_file(folder / "model.safetensors")
    save_file({**state, "pooler.dense.bias": state["pooler.dense.bias"] + 1}, folder / "model.safetensors", {"format": "pt"})
    digests.append(made(context, **entry).digest)
    for file, key, value in (
        ("preprocessor_config.json", "image_mean", [0.1, 0.4, 0.3]),
        ("config.json", "layer_norm_eps", 1e-3),
    ):
        said = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**said, key: value}))
        digests.append(made(context, **entry).digest)
    assert len(set(digests)) == 4


def test_a_pooler_that_the_weights_lack_is_no_layer(context: Context) -> None:
    folder = context.root / "vit"
    vit(folder)
    state = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in state.items() if not k.startswith("pooler")}, folder / "model.safetensors", {"format": "pt"})
    assert made(context, path="vit").layers[-1] == "layernorm"
    with pytest.raises(StudyError, match=r"found 'pooler\.dense', not in the module"):
        made(context, path="vit", layers=["pooler.dense"])


def test_weights_that_do_not_fit(context: Context) -> None:
    folder = context.root / "vit"
    vit(folder)
    state = load_file(folder / "model.safetensors")
    save_file({**state, "layernorm.bias": torch.zeros(7)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        StudyError, match=r"models\.m\.path: vit: tensor 'layernorm\.bias', found shape \(7,\), expected \(16,\)"
    ) as caught:
        made(context, path="vit")
    assert "\n" not in str(caught.value)
    save_file({k: v for k, v in state.items() if k != "layernorm.bias"}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(StudyError, match=r"models\.m\.path: vit: found no tensor 'layernorm\.bias', expected \(16,\)"):
        made(context, path="vit")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "vit", "input": "caption"}, r"models\.m\.input: found 'caption', but vit takes image"),
        ({"path": "bert", "input": "image"}, r"models\.m\.input: found 'image', but bert takes caption \(or a label column\)"),
        ({"path": "bert", "input": "colour"}, r"input: found 'colour', expected a column of text, one of caption, kind"),
        ({"path": "./absent"}, r"models\.m\.path: found no './absent' in "),
        ({"path": "empty"}, r"models\.m\.path: .*empty gives no Config \(\w+: "),
        ({"path": "vit", "layers": ["encoder.layr.1"]}, r"found 'encoder\.layr\.1', not in the module; nearest of"),
        ({"path": "bare"}, r"models\.m\.path: .*bare gives no ImageProcessor"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(context: Context, entry: dict[str, Any], message: str) -> None:
    vit(context.root / "vit")
    bert(context.root / "bert")
    (context.root / "empty").mkdir()
    vit(context.root / "bare")[0]
    (context.root / "bare" / "preprocessor_config.json").unlink()
    with pytest.raises(StudyError, match=message) as caught:
        made(context, **entry)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_is_refused(context: Context, pictures: list[np.ndarray]) -> None:
    vit(context.root / "vit")
    built = made(context, path="vit", preprocess="unit", layers=["pooler"])
    with pytest.raises(
        StudyError, match=r"models\.m: the network refuses images of shape \(3, 60, 80\) \(ValueError: .*preprocess: model"
    ):
        list(built.features(pictures, built.layers))


def test_a_name_that_is_not_cached_and_no_hub(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(hubs.socket, "create_connection", nowhere)
    message = (
        r"models\.m\.path: someone/something is not on this machine, and \S+ cannot be reached \(Name or service not known\); "
        "fetch it on another machine, and give its path"
    )
    with pytest.raises(StudyError, match=message) as caught:
        made(context, path="someone/something")
    assert "\n" not in str(caught.value)

import pytest
import timm
import torch
from safetensors.torch import save_file

from camzoo.cams.view.viewer import Viewer
from camzoo.config import BackboneConfig, TrainingConfig
from camzoo.core.errors import ConfigError
from camzoo.learning.loop import fit
from camzoo.network.backbone import build_classifier, require_sides
from camzoo.registries import cams
from tests.toy import toy_slices


def config(**changes):
    defaults = {"name": "resnet10t", "weights": "none", "frozen": 0}
    return BackboneConfig(**(defaults | changes))


@pytest.mark.parametrize(
    ("name", "stride"),
    [("resnet10t", 16), ("mobilenetv2_050", 16), ("regnety_002", 16), ("densenet121", 32)],
)
@pytest.mark.parametrize("dilated", [False, True])
def test_stride_is_16_where_timm_allows(name, stride, dilated):
    classifier = build_classifier(config(name=name, dilated=dilated), 2, seed=0).eval()
    images = classifier.normalise(torch.rand(2, 64, 96))
    features = classifier.model.forward_features(images)
    assert features.shape[-2:] == (64 // stride, 96 // stride)
    assert classifier(images).shape == (2, 2)
    dilations = {m.dilation for m in classifier.modules() if isinstance(m, torch.nn.Conv2d)}
    assert (max(dilations) > (1, 1)) == (dilated and stride == 16)


def test_transformers_take_any_size():
    classifier = build_classifier(config(name="vit_tiny_patch16_224"), 3, seed=0).eval()
    assert classifier(classifier.normalise(torch.rand(1, 96, 160))).shape == (1, 3)


def test_the_head_is_linear_after_average_pooling_without_bias():
    classifier = build_classifier(config(), 3, seed=0).eval()
    assert classifier.head.bias is None
    assert classifier.head.weight.std() < 0.02
    images = classifier.normalise(torch.rand(2, 64, 96))
    features = classifier.model.forward_features(images)
    by_hand = features.mean((2, 3)) @ classifier.head.weight.T
    assert torch.allclose(classifier(images), by_hand, atol=1e-6)


def test_batch_norm_stays_frozen_in_training_where_there_were_weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(build_classifier(config(), 1, seed=0).model.state_dict(), file)
    scratch = build_classifier(config(), 1, seed=0).train()
    assert all(m.training for m in scratch.modules())
    classifier = build_classifier(config(weights=file), 1, seed=0).train()
    before = {k: v.clone() for k, v in classifier.state_dict().items() if "running" in k}
    classifier(classifier.normalise(torch.rand(4, 64, 64)))
    assert before
    assert all(torch.equal(v, classifier.state_dict()[k]) for k, v in before.items())


def test_frozen_stages_get_no_gradient():
    classifier = build_classifier(config(frozen=3), 1, seed=0).train()
    classifier(classifier.normalise(torch.rand(2, 64, 64))).sum().backward()
    grads = {name: p.grad is not None for name, p in classifier.model.named_parameters()}
    assert not any(
        g for n, g in grads.items() if n.startswith(("conv1", "bn1", "layer1", "layer2"))
    )
    assert all(g for n, g in grads.items() if n.startswith(("layer3", "layer4", "fc")))
    with pytest.raises(ConfigError, match="cannot freeze 9 stages"):
        build_classifier(config(frozen=9), 1, seed=0)


@pytest.mark.parametrize("name", ["test_vit", "resnet10t"])
def test_a_frozen_trunk_leaves_the_head_to_learn_alone(name, tmp_path):
    """Features of a file are what they were after training, and CAM is linear in them."""
    source, file = timm.create_model(name, num_classes=0), tmp_path / "weights.safetensors"
    save_file(source.state_dict(), file)
    classifier = build_classifier(config(name=name, weights=file, frozen="all"), 2, seed=0)
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    recipe = TrainingConfig(epochs=1, batch=8, crop=160, resize=(160, 160), precision="fp32")
    device, checkpoint = torch.device("cpu"), tmp_path / "classifier.safetensors"
    fit(classifier, toy_slices(8), recipe, seed=0, device=device, checkpoint=checkpoint)
    learnt = {key for key, value in classifier.state_dict().items() if not value.equal(before[key])}
    assert {id(p) for n, p in classifier.named_parameters() if n in learnt} == {
        id(classifier.head.weight)
    }
    assert len(learnt) == 1
    images = classifier.eval().normalise(torch.rand(2, 160, 160))
    maps = cams.get("cam")()(Viewer(classifier.model)(images))
    torch.testing.assert_close(maps.mean((2, 3)), classifier(images).detach())


def test_a_transformer_keeps_the_norm_that_it_was_trained_with(tmp_path):
    """With average pooling timm would put a new norm behind it, and drop the trained one."""
    source, file = timm.create_model("test_vit", num_classes=0).eval(), tmp_path / "w.safetensors"
    torch.nn.init.normal_(source.norm.weight)
    save_file(source.state_dict(), file)
    classifier = build_classifier(config(name="test_vit", weights=file), 2, seed=0).eval()
    images = classifier.normalise(torch.rand(2, 160, 160))
    patches = source.forward_features(images)[:, 1:]
    torch.testing.assert_close(classifier(images), patches.mean(1) @ classifier.head.weight.T)


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv2_050", "convnext_atto", "densenet121"])
def test_a_head_can_read_an_earlier_stage_alone(name):
    whole = build_classifier(config(name=name, frozen=1), 3, seed=0)
    shallow = build_classifier(config(name=name, stages=(3,), width=24, frozen=1), 3, seed=0).eval()
    images = shallow.normalise(torch.rand(2, 64, 96))
    with torch.no_grad():
        features = shallow.model.forward_features(images)
    assert features.shape[1] == 24
    assert float(features.min()) == 0
    by_hand = features.mean((2, 3)) @ shallow.head.weight.T
    assert torch.allclose(shallow(images), by_hand, atol=1e-6)
    count = [sum(p.numel() for p in c.parameters()) for c in (whole, shallow)]
    assert count[1] < count[0]
    frozen = [{n.replace("trunk.", "") for n, p in c.named_parameters() if not p.requires_grad}
              for c in (whole, shallow)]  # fmt: skip
    assert frozen[0] == frozen[1] != set()
    assert len(shallow.fresh) == 3  # two of the projection, one of the bias-free head


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv2_050", "regnety_002"])
def test_a_head_can_read_two_stages_side_by_side(name):
    whole = build_classifier(config(name=name), 3, seed=0).eval()
    both = build_classifier(config(name=name, stages=(4, 5), width=24), 3, seed=0).eval()
    both.model.trunk.load_state_dict(whole.model.state_dict(), strict=False)
    images = both.normalise(torch.rand(2, 64, 96))
    with torch.no_grad():
        features = both.model.forward_features(images)
        last = whole.model.forward_features(images)
    assert features.shape == (2, 24 + last.shape[1], 4, 6)
    assert torch.allclose(features[:, 24:], last, atol=1e-5)
    by_hand = features.mean((2, 3)) @ both.head.weight.T
    assert torch.allclose(both(images), by_hand, atol=1e-5)
    with pytest.raises(ConfigError, match="ascending"):
        config(stages=(5, 4))


def test_coarser_stages_are_enlarged_to_the_finest():
    classifier = build_classifier(config(stages=(3, 5), width=8), 2, seed=0).eval()
    with torch.no_grad():
        features = classifier.model.forward_features(classifier.normalise(torch.rand(1, 64, 96)))
    assert features.shape[-2:] == (8, 12)


def test_a_tapped_trunk_takes_weights_of_the_plain_one(tmp_path):
    file = tmp_path / "weights.safetensors"
    source = build_classifier(config(), 1, seed=5)
    save_file(source.model.state_dict(), file)
    for stages in ((3,), (3, 5)):
        tapped = build_classifier(config(weights=file, stages=stages), 2, seed=0)
        assert torch.equal(
            tapped.model.trunk.layer2[0].conv1.weight, source.model.layer2[0].conv1.weight
        )
    with pytest.raises(ConfigError, match="has no stages 9: timm can cut it at 5"):
        build_classifier(config(stages=(9,)), 2, seed=0)


def test_one_channel_equals_three_equal_ones(tmp_path):
    three = build_classifier(config(mean=(0.5,) * 3, std=(0.25,) * 3), 2, seed=0).eval()
    file = tmp_path / "weights.safetensors"
    save_file(three.model.state_dict(), file)
    one = build_classifier(
        config(channels=1, weights=file, mean=(0.5,) * 3, std=(0.25,) * 3), 2, seed=0
    ).eval()
    one.head.load_state_dict(three.head.state_dict())
    grey = torch.rand(2, 64, 96)
    assert one.normalise(grey).shape == (2, 1, 64, 96)
    assert torch.allclose(one(one.normalise(grey)), three(three.normalise(grey)), atol=1e-4)


def test_the_seed_decides_the_start():
    one, same, other = (
        build_classifier(config(), 2, seed=s).state_dict()["model.fc.weight"] for s in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_weights_from_a_file_fill_the_trunk_not_the_head(tmp_path):
    source = build_classifier(config(), 5, seed=7)
    file = tmp_path / "weights.pth"
    torch.save({"state_dict": source.model.state_dict()}, file)
    loaded = build_classifier(config(weights=file), 2, seed=0)
    assert torch.equal(loaded.model.conv1[0].weight, source.model.conv1[0].weight)
    assert loaded.head.weight.shape == (2, 512)


def test_tensorflow_weights_are_recognised(tmp_path):
    source = timm.create_model("mobilenetv2_050", num_classes=1001)
    file = tmp_path / "weights.safetensors"
    save_file({k: v.half() for k, v in source.state_dict().items()}, file)
    classifier = build_classifier(config(name="mobilenetv2_050", weights=file), 2, seed=0)
    assert classifier.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert type(classifier.model.conv_stem).__name__ == "Conv2dSame"
    assert classifier.model.conv_stem.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "resnet99"}, "unknown backbone 'resnet99' of timm; did you mean"),
        ({"arguments": {"nonsense": 1}}, "'resnet10t' cannot be made: .*nonsense"),
    ],
)
def test_wrong_backbones_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        build_classifier(config(**changes), 1, seed=0)


def test_wrong_weights_are_named(tmp_path):
    missing = tmp_path / "none.safetensors"
    with pytest.raises(ConfigError, match="no weights at"):
        build_classifier(config(weights=missing), 1, seed=0)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    with pytest.raises(ConfigError, match="cannot be read as weights"):
        build_classifier(config(weights=broken), 1, seed=0)
    foreign = tmp_path / "foreign.safetensors"
    save_file(build_classifier(config(name="resnet18"), 1, seed=0).model.state_dict(), foreign)
    with pytest.raises(ConfigError, match=r"does not fit backbone 'resnet10t': \d+ of \d+ tensors"):
        build_classifier(config(weights=foreign), 1, seed=0)


def test_missing_imagenet_weights_say_what_to_do(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", "/nonexistent")

    def no_network(*_args, **_kwargs):
        raise OSError("offline")

    monkeypatch.setattr("timm.create_model", no_network)
    with pytest.raises(ConfigError, match=r"could not be had .* --weights FILE"):
        build_classifier(config(weights="imagenet"), 1, seed=0)


#: Families whose head, pooling or stride is not what most have, and small ones of them.
FAMILIES = {
    "deit_tiny_distilled_patch16_224": {},  # two heads, and tokens of theirs
    "dla34": {},  # no other stride
    "dpn48b": {},  # a convolution as classifier
    "efficientformerv2_s0": {},  # two heads
    "ghostnet_050": {},
    "levit_128s": {},
    "pit_ti_224": {},  # no other pooling
    "repvit_m0_9": {},
    "swiftformer_xs": {},
    "vgg11": {"mlp_ratio": 0.05},
}
MORE_FAMILIES = (
    "caformer_s18", "coat_lite_tiny", "coatnet_nano_rw_224", "convit_tiny", "convmixer_768_32",
    "cspresnet50",
    "csatv2", "davit_tiny", "edgenext_xx_small", "efficientformer_l1", "efficientvit_b0",
    "eva02_tiny_patch14_224", "fasternet_t0", "fbnetv3_b", "focalnet_tiny_srf", "gcvit_xxtiny",
    "gmixer_12_224", "hgnetv2_b0", "hiera_tiny_224", "hrnet_w18_small", "inception_next_atto",
    "inception_v4",
    "lcnetv2_base", "mambaout_femto", "maxvit_tiny_tf_224", "mobilenetv4_conv_small",
    "mobilevit_xxs", "mobilevitv2_050", "mvitv2_tiny", "nest_tiny", "nextvit_small", "pvt_v2_b0",
    "rdnet_tiny", "repghostnet_050", "resnest14d", "resnetv2_18", "rexnet_100",
    "samvit_base_patch16_224", "sequencer2d_s", "shvit_s1", "skresnet18", "starnet_s1",
    "swin_tiny_patch4_window7_224", "swinv2_cr_tiny_224", "tiny_vit_5m_224", "twins_svt_small",
    "vgg16", "visformer_tiny", "volo_d1_224", "xception41", "xcit_nano_12_p16_224",
)  # fmt: skip
#: Layers behind the trunk of VGG hold 120 of its 138 million weights; a fiftieth of them will do.
SMALLER = {"vgg16": {"mlp_ratio": 0.02}}


def walk(name, options, stride):
    """Build a backbone at a wished stride, and look through it at one slice."""
    wished = config(name=name, output_stride=stride, arguments=options)
    classifier = build_classifier(wished, 3, seed=0).eval()
    assert classifier.head.bias is None
    images = classifier.normalise(torch.rand(1, 224, 224))
    view = Viewer(classifier.model)(images)
    assert view.logits.shape == (1, 3)
    torch.testing.assert_close(view.logits, classifier(images).detach(), rtol=1e-3, atol=1e-5)
    assert cams.get("grad-cam")()(view).shape == (1, 3, *view.features.shape[2:])
    own = 224 / view.features.shape[2]
    if classifier.notes:
        (note,) = classifier.notes
        assert f"{name} keeps its own stride of" in note
        assert f"asks for {stride}" in note
    return own


@pytest.mark.parametrize("name", FAMILIES)
def test_families_with_other_heads_poolings_and_strides(name):
    walk(name, FAMILIES[name], 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE_FAMILIES)
def test_all_families(name):
    walk(name, SMALLER.get(name, {}), 16)


@pytest.mark.parametrize("stride", [1, 4, 8, 16, 32])
def test_a_stride_that_an_architecture_does_not_have_is_dropped_and_that_is_said(stride):
    classifier = build_classifier(config(name="dla34", output_stride=stride), 2, seed=0)
    said = (
        "dla34 keeps its own stride of 32 pixels where backbone.output_stride asks for "
        f"{stride}: timm cannot change it"
    )
    assert classifier.notes == (() if stride == 32 else (said,))
    assert build_classifier(config(), 2, seed=0).notes == ()


def test_a_head_that_is_several_is_replaced_by_one_of_pooling_and_a_linear_layer():
    classifier = build_classifier(config(name="levit_128s"), 3, seed=0).eval()
    images = classifier.normalise(torch.rand(2, 224, 224))
    view = Viewer(classifier.model)(images)
    assert view.closed_form
    by_hand = view.features.mean((2, 3)) @ classifier.head.weight.T
    torch.testing.assert_close(view.logits, by_hand.detach())
    assert len(classifier.fresh) == 1


def test_weights_of_a_trunk_whose_head_is_replaced(tmp_path):
    import timm

    source = timm.create_model("repvit_m0_9", num_classes=5)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    classifier = build_classifier(
        config(name="repvit_m0_9", weights=tmp_path / "weights.safetensors"), 2, seed=0
    )
    assert torch.equal(classifier.model.trunk.stem.conv1.c.weight, source.stem.conv1.c.weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "csatv2", "frozen": 1}, "timm does not group the layers of CSATv2"),
        ({"name": "dla34", "arguments": {"output_stride": 8}}, "'dla34' cannot be made"),
        ({"name": "pit_ti_224", "arguments": {"global_pool": "avg"}}, "Only token pooling"),
    ],
)
def test_what_an_architecture_cannot_do_is_said(changes, message):
    with pytest.raises(ConfigError, match=message):
        build_classifier(config(**changes), 1, seed=0)


def test_trunks_that_end_in_several_maps_are_refused():
    classifier = build_classifier(config(name="crossvit_tiny_240"), 2, seed=0)
    with pytest.raises(ConfigError, match="the trunk of CrossVit does not end in one feature map"):
        require_sides(classifier, [240])


def test_images_of_a_size_that_the_backbone_does_not_take():
    classifier = build_classifier(config(name="test_vit_relpos"), 2, seed=0).train()
    with pytest.raises(
        ConfigError, match=r"images of 96 x 96 pixels .* timm made it for 160 x 160"
    ):
        require_sides(classifier, [160, 96])
    require_sides(classifier, [160])
    assert classifier.training

import pytest

from camzoo.core.errors import ConfigError
from camzoo.core.settings_files import is_manifest, read_settings
from camzoo.harness.configure import configure

TOML = """
dataset = "acdc"
preset = "smoke"
methods = ["cam", "layer-cam"]
seeds = [0, 1]
"training.epochs" = 3

[data]
limit = 12
options = {structures = "lv"}

[maps]
scales = [0.5, 1]

[backbone.arguments]
drop_rate = 0.1
"""
YAML = """
dataset: acdc
preset: smoke
methods: cam,layer-cam
seeds: [0, 1]
training.epochs: 3
data:
  limit: 12
  options: {structures: lv}
maps: {scales: [0.5, 1]}
backbone:
  arguments: {drop_rate: 0.1}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [("s.toml", TOML), ("s.yaml", YAML), ("s.YML", YAML), ("s.TOML", "\ufeff" + TOML)],
)
def test_toml_and_yaml_say_the_same(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert not is_manifest(path)
    told = read_settings(path)
    assert (told.dataset, told.preset) == ("acdc", "smoke")
    config = configure(None, None, path, {})
    assert config.preset == "smoke"
    assert config.data.name == "acdc"
    assert config.data.limit == 12
    assert config.data.options == {"structures": "lv"}
    assert config.methods == ("cam", "layer-cam")
    assert config.seeds == (0, 1)
    assert config.training.epochs == 3
    assert config.maps.scales == (0.5, 1.0)
    assert config.backbone.arguments == {"drop_rate": 0.1}


def test_the_command_line_goes_before_the_file_and_the_file_before_the_preset(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(TOML)
    config = configure("phantom", "quick", path, {"training.epochs": 7, "data.options": {}})
    assert (config.data.name, config.preset) == ("phantom", "quick")
    assert config.training.epochs == 7
    assert config.data.limit == 12
    assert config.backbone.name == "mobilenetv2_100"


def test_a_file_without_a_data_set_needs_one_on_the_command_line(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("training: {epochs: 1}")
    assert configure("phantom", None, path, {}).preset == "quick"
    with pytest.raises(ConfigError, match="name a dataset"):
        configure(None, None, path, {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.toml", "a = ", "cannot be read as settings"),
        ("s.toml", b"\xff\xfe\x00", "cannot be read as settings"),
        ("s.toml", "[a]\n[a]", "cannot be read as settings"),
        ("s.toml", "dataset = 3", "dataset must be a name, got 3"),
        ("s.toml", "preset = ['quick']", "preset must be a name"),
        ("s.yaml", "a: [", "cannot be read as settings"),
        ("s.yaml", "", "got nothing"),
        ("s.yaml", "- 1\n- 2", "got a list"),
        ("s.yaml", "just text", "got a str"),
        ("s.yaml", "3: 4", "must hold a table of settings"),
        ("s.yaml", "training: {3: 4}", "names of settings are text, got 3"),
        ("s.yaml", "!!python/object/apply:os.system ['true']", "cannot be read as settings"),
        ("s.yaml", "a: " + "[" * 5000, "line 1 is nested more than 16 deep"),
        ("s.yaml", "{" * 5000, "line 1 is nested more than 16 deep"),
        ("s.yaml", "a: &a [1]\nb: [*a, *a]", "*a in line 2 is an alias; write its value there"),
        ("s.yaml", "a: &a {b: *a}", "*a in line 1 is an alias"),
        ("s.yaml", "a: !!int ''", "cannot be read as settings"),
        ("s.yaml", "a: !!timestamp x", "cannot be read as settings"),
        ("s.toml", ".".join("a" * 900) + " = 1", "tables are nested more than 16 deep: a.a.a"),
        ("s.toml", f"dataset = 'phantom'\n{'a' * 9000} = 1", "unknown setting 'aaaa"),
        ("s.yaml", "dataset: phantom\ntraining: {epoch: 3}", "did you mean training.epochs"),
        ("s.yaml", "dataset: phantom\ntraining: 3", "training"),
        ("s.yaml", "dataset: phantom\nmethods: [3]", "names are text"),
        ("s.yaml", "dataset: phantom\nmethods: gradcam", "did you mean grad-cam"),
        ("s.yaml", "dataset: nope\npreset: huge", "unknown preset 'huge'"),
        ("s.yaml", "dataset: phantom\nplugins: ['no_module:X']", "No module named 'no_module'"),
        ("s.yaml", "dataset: phantom\ndata: {limit: 0}", "data.limit"),
        ("gone.toml", None, "cannot be read as settings"),
        ("gone.yaml", None, "cannot be read as settings"),
        ("gone.json", None, "holds no settings of a run"),
    ],
)
def test_files_that_are_no_settings_are_refused(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as refused:
        configure(None, None, path, {})
    assert message in str(refused.value)


def test_a_folder_is_no_file_of_settings(tmp_path):
    (tmp_path / "s.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read as settings"):
        read_settings(tmp_path / "s.toml")

"""`tinynet summary`, `graph`, `profile` and `bench`."""

import json
from pathlib import Path

import pytest

import tinynet as tn
from tinynet import models
from tinynet.cli import bench


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("lenet",), "61,706"),
        (("resnet20", "--shape", "3,32,32"), "269,722"),
        (("512-256", "--shape", "784"), "535,818"),
    ],
)
def test_summary_of_models_by_name(tinynet, arguments, count):
    status, out, _ = tinynet("summary", *arguments)
    assert status == 0
    assert f"Parameters: {count}, {count} of them trainable" in out
    assert out.startswith("Layer")


def test_summary_of_files(tinynet, trained):
    out = tinynet("summary", trained, "--batch", "3").out
    assert "(3, 128)" in out  # the file says what goes in
    tn.save_model(tn.nn.Sequential(tn.nn.Linear(4, 2)), "bare.safetensors")
    assert "(1, 2)" not in tinynet("summary", "bare.safetensors").out
    assert "(1, 2)" in tinynet("summary", "bare.safetensors", "--shape", "4").out
    assert tinynet("summary", "bare.safetensors", "--depth", "0").out.count("Linear") == 0


def test_wrong_models(fails):
    assert "did you mean 'resnet20'?" in fails("summary", "resnet")
    assert "--shape: '1,a', expected whole numbers" in fails("summary", "lenet", "--shape", "1,a")
    message = fails("summary", "lenet", "--shape", "784")
    assert "'lenet' got inputs of shape (784,), expected images" in message


@pytest.mark.parametrize("ending", ["html", "mmd", "dot"])
def test_graph(tinynet, trained, ending):
    status, out, _ = tinynet("graph", trained, "-o", f"net.{ending}")
    assert status == 0
    assert out == f"Graph: {Path(f'net.{ending}').resolve()}\n"
    assert "1.weight" in Path(f"net.{ending}").read_text()


def test_graph_as_text(tinynet, trained):
    assert "1.weight" in tinynet("graph", trained).out


def test_graph_needs_an_input(tinynet, fails):
    tn.save_model(tn.nn.Linear(4, 2), "bare.safetensors")
    assert "graph: the model's file does not say what goes in, expected --shape" in fails(
        "graph", "bare.safetensors"
    )


PROGRAM = """
import sys
import helper
import tinynet as tn

print(sys.argv[1:], helper.NAME, __name__)
x = tn.ones(4, 4, device={device!r})
print((x @ x).sum().item())
{end}
"""


@pytest.fixture
def script(tinynet):
    """Writes a program beside a module that it imports."""
    Path("programs").mkdir()
    Path("programs/helper.py").write_text("NAME = 'helper'\n")

    def write(end="", device="cpu"):
        path = Path("programs/step.py")
        path.write_text(PROGRAM.format(device=device, end=end))
        return path

    return write


def test_profile(tinynet, script, device):
    path = script(device=device)
    status, out, _ = tinynet("profile", "--trace", "out.json", path, "--n", "3", "--trace")
    lines = out.splitlines()
    assert status == 0
    assert lines[:2] == ["['--n', '3', '--trace'] helper __main__", "64.0"]
    assert "launches" in out
    if device != "cpu":
        assert "matmul" in out
    assert isinstance(json.loads(Path("out.json").read_text()), list | dict)


@pytest.mark.parametrize(
    ("end", "status"), [("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('why')", 1)]
)
def test_profile_has_the_programs_status(tinynet, script, end, status):
    ended = tinynet("profile", script(end))
    assert ended.status == status
    assert "launches" in ended.out
    assert ended.err == ("why\n" if "why" in end else "")


def test_errors_of_a_profiled_program_are_its_own(tinynet, script):
    status, out, err = tinynet("profile", script("tn.ones(2) @ tn.ones(3)"))
    assert status == 1
    assert "launches" in out
    assert "Traceback" in err
    assert "ShapeError" in err
    with pytest.raises(ZeroDivisionError):
        tinynet("profile", script("1 / 0"))


def test_profile_of_nothing(fails):
    assert "profile: none.py: there is no such file" in fails("profile", "none.py")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["steps", "--workloads", "nielsen", "mlp", "lenet", "--repeats", "5", "--threads", "2",
              "--systems", "tinynet", "tinynet-jit", "torch"]),
        (("--epoch", "--repeats", "2", "--systems", "torch,tinynet-jit:cpu", "--json", "x.json"),
         ["epoch", "--repeats", "2", "--threads", "2", "--systems", "torch", "tinynet-jit:cpu",
          "--json", "x.json"]),
    ],
)  # fmt: skip
def test_bench(tinynet, monkeypatch, arguments, expected):
    seen = []
    monkeypatch.setattr(bench, "run_benchmarks", lambda options: seen.append(options) or 0)
    assert tinynet("bench", *arguments).status == 0
    assert seen == [expected]


def test_wrong_benches(fails):
    assert "bench: --workloads: 'mpl', expected one of nielsen, mlp" in fails(
        "bench", "--workloads", "mpl"
    )
    assert "bench: --systems: 'numpy', expected one of tinynet" in fails(
        "bench", "--systems", "numpy"
    )
    assert "--json: 'none' is no folder" in fails("bench", "--json", "none/x.json")
    assert "expected an ending such as .png" in fails("bench", "--plot", "x.xyz")


def test_every_model_takes_its_least_images():
    """And says so of less."""
    for name in models.NAMES:
        side = models.IMAGE_MODELS.get(name, 1)
        model = models.make_model(name, (2, side, side + 5), 5)
        assert model.eval()(tn.zeros(3, 2, side, side + 5)).shape == (3, 5)
        if side > 1:
            with pytest.raises(tn.errors.ShapeError, match=f"at least {side} x {side} pixels"):
                models.make_model(name, (2, side - 1, side), 5)


def test_models_come_back_from_files(tmp_path):
    model = models.make_model("resnet20", (1, 8, 8), 3).eval()
    tn.save_model(model, tmp_path / "x.safetensors")
    x = tn.rand(2, 1, 8, 8)
    assert tn.equal(tn.load_model(tmp_path / "x.safetensors")(x), model(x))

"""The notebooks: they run from the top to the end, and are kept without what they put out."""

import json
from pathlib import Path

import pytest

from tinynet import settings
from tinynet.data.images import SAMPLE

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))

# what a notebook must have put out, as words in some of its outputs
SHOWN = {
    "first_steps": ["validation_accuracy", "<iframe", "3x9 float32", "<details"],
    "inside_a_network": ["<iframe", "wall time", "of peak", "image/png"],
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, monkeypatch, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv(settings.DATA.name, str(SAMPLE))
    monkeypatch.setenv(settings.CACHE.name, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert all(output["output_type"] != "error" for output in outputs)
    text = json.dumps(outputs, ensure_ascii=False)
    for words in SHOWN[path.stem]:
        assert words in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_kept_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_all_are_known():
    assert sorted(SHOWN) == [path.stem for path in NOTEBOOKS]

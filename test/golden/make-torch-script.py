"""Makes the golden files of TorchScript and of PyTorch's other archives.

    python -m pip install torch safetensors && python test/golden/make-torch-script.py

`torch/script/<name>.pt` are read, and must have the tensors of `torch/script/expected.safetensors` (`<name>/<tensor>`, what state_dict() of the loaded
program has). `hostile.pt` and `refused/restores-itself.pt` write a file called `executed` where a forward pass or torch.jit.load runs their code;
the first one's tensors are read, as nothing has to be run for them. The rest of `torch/refused/` are archives of other kinds.
"""

import pathlib
import tempfile
import typing
import warnings
import zipfile

import torch
from safetensors.torch import save_file
from torch.package import PackageExporter

warnings.simplefilter("ignore")
here = pathlib.Path(__file__).parent / "torch"
script, refused = here / "script", here / "refused"
script.mkdir(exist_ok=True)


class Attributes(torch.nn.Module):
    """Parameters and buffers among attributes of every type, some of them tensors that no state dict has."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, 3))
        self.scale = torch.nn.Parameter(torch.randn(3).half())
        self.register_buffer("steps", torch.arange(3))
        self.extra = torch.ones(4)
        self.sizes, self.names, self.counts, self.rate = [1, 2], ["a", "b"], {"a": 1}, 2.5
        self.others, self.pair, self.device = [torch.ones(1), torch.zeros(2)], (1, "x"), torch.device("cpu")
        self.absent = torch.jit.annotate(typing.Optional[int], None)
        self.register_parameter("bias", None)

    def forward(self, x):
        y = x @ self.weight.t() + self.extra.sum() + self.sizes[0] + self.counts["a"] + self.rate
        return y + self.others[0] + self.pair[0] + len(self.names)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Attributes()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3))
        self.tied = torch.nn.Linear(3, 3)
        self.tied.weight = self.layers[0].weight
        self.norm = torch.nn.BatchNorm1d(3)

    def forward(self, x):
        return self.inner(self.norm(self.layers(self.tied(x))))


class Hostile(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, 3))

    def forward(self, x):
        torch.save(x, "executed")
        return x @ self.weight.t()


class RestoresItself(torch.nn.Module):
    """Runs as soon as torch.jit.load reads it."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, 3))
        self.training = True

    @torch.jit.export
    def __getstate__(self):
        return {"weight": self.weight}

    @torch.jit.export
    def __setstate__(self, state: typing.Dict[str, torch.Tensor]):
        torch.save(state["weight"], "executed")
        self.weight = state["weight"]
        self.training = True

    def forward(self, x):
        return x


torch.manual_seed(0)
model = Model().eval()
programs = {
    "scripted": torch.jit.script(model),
    "traced": torch.jit.trace(model, torch.ones(1, 3)),
    "hostile": torch.jit.script(Hostile()),
}
expected = {}
for name, program in programs.items():
    torch.jit.save(program, script / f"{name}.pt")
    loaded = torch.jit.load(script / f"{name}.pt").state_dict()
    expected.update({f"{name}/{tensor}": value.detach().clone() for tensor, value in loaded.items()})
save_file(expected, script / "expected.safetensors")
(script / "expected.safetensors").chmod(0o644)

# torch.jit.script tries the restoring out: outside of this folder.
torch.jit.save(torch.jit.script(RestoresItself()), refused / "restores-itself.pt")
layers = torch.nn.Sequential(torch.nn.Linear(3, 3))
quantised = torch.quantization.quantize_dynamic(layers, {torch.nn.Linear}, dtype=torch.qint8)
torch.jit.save(torch.jit.script(quantised), refused / "quantised.pt")
with tempfile.TemporaryDirectory() as folder:
    package = pathlib.Path(folder) / "package.pt"
    with PackageExporter(package) as exporter:
        exporter.extern("**")
        exporter.save_pickle("model", "model.pkl", {"weight": torch.ones(3)})
    (refused / "package.pt").write_bytes(package.read_bytes())
torch.export.save(torch.export.export(torch.nn.Linear(2, 3), (torch.ones(1, 2),)), refused / "exported.pt2")
# Without the place of the library on the machine that made it, which the format notes with every operation.
with zipfile.ZipFile(refused / "exported.pt2") as exported:
    entries = [(entry.filename, exported.read(entry)) for entry in exported.infolist()]
library = f"{pathlib.Path(torch.__file__).parent.parent}/".encode()
with zipfile.ZipFile(refused / "exported.pt2", "w") as exported:
    for name, content in entries:
        exported.writestr(zipfile.ZipInfo(name), content.replace(library, b""))

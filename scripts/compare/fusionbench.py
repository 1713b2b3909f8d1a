"""FusionBench's side of `npm run compare -- fusionbench`: its own layer-wise AdaMerging, given our batches and heads.

FusionBench's: CLIPVisionModelPool loads the checkpoints; CLIPLayerWiseAdaMergingAlgorithm.run builds its LayerWiseMergedModel
and runs its own loop (compute_logits, entropy_loss, backward for each task, torch.optim.Adam, merge_weights) with the values
of its config/method/adamerging/clip.yaml. Ours, by overriding what the class leaves to its children: where batches come
from, the heads (zero-shot heads would need a text tower, which these checkpoints lack) and the visual projection,
which is the base's in both. The loop waits in the batch iterator for its turn, so that two programs can alternate.

Answers JSON lines on stdin with JSON lines on stdout: open, step, evaluate. Needs fusion-bench with torch and transformers.
"""

import argparse
import json
import os
import sys
import tempfile
import time

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print must not mix with the answers
STARTED = time.perf_counter()
os.environ.setdefault("TQDM_DISABLE", "1")

import lightning  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from fusion_bench.method.adamerging.clip_layer_wise_adamerging import CLIPLayerWiseAdaMergingAlgorithm  # noqa: E402
from fusion_bench.modelpool import CLIPVisionModelPool  # noqa: E402
from lightning.fabric.loggers import TensorBoardLogger  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from safetensors import safe_open  # noqa: E402


def answer(message):
    print(json.dumps(message), file=ANSWERS, flush=True)


def next_request():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


class Turns:
    """Lets the loop go on for as many steps as are asked for, and answers with each step's time and coefficients, and the turn's CPU time."""

    def __init__(self):
        self.left, self.times, self.trajectory, self.began, self.cpu_began = 0, [], [], None, 0

    def step_begins(self, merge_weight):
        """Called before each step's first batch, with the coefficients of the steps before."""
        self.step_ended(merge_weight)
        if self.left == 0:
            self.report()
            self.left = self.wait_for_steps()
            self.cpu_began = time.process_time()
        self.left -= 1
        self.began = time.perf_counter()

    def step_ended(self, merge_weight):
        if self.began is None:
            return
        self.times.append((time.perf_counter() - self.began) * 1e3)
        self.trajectory.append(merge_weight.detach().double().tolist())

    def report(self):
        if self.began is None:
            answer({"opened": True, "secondsToFirstStep": time.perf_counter() - STARTED, **self.about})
        else:
            cpu_ms = (time.process_time() - self.cpu_began) * 1e3
            answer({"ms": self.times, "cpuMs": cpu_ms, "trajectory": self.trajectory})
        self.times, self.trajectory = [], []

    @staticmethod
    def wait_for_steps():
        request = next_request()
        if request["kind"] != "step":
            sys.exit(f"expected steps, found {request['kind']}")
        return request["count"]


class GivenBatches(CLIPLayerWiseAdaMergingAlgorithm):
    """FusionBench's algorithm on the batches and heads of a file."""

    def __init__(self, config, given, heads, projection, turns):
        super().__init__(config)
        self.given, self.heads, self.projection, self.turns = given, heads, projection, turns
        self.position = {}

    def on_test_time_adaptation_start(self):
        self.zeroshot_weights = self.heads.weights
        self.visual_projection = self.projection

    def compute_logits(self, module, images, task):
        self.logit_scale_exp = self.heads.scales[task]
        return super().compute_logits(module, images, task) + self.heads.biases[task]

    def get_shuffled_test_loader_iter(self, task):
        step = self.position.get(task, 0)
        if task == self.modelpool.model_names[0]:
            self.turns.step_begins(self.module.merge_weight)
        self.position[task] = step + 1
        yield (self.given.batch(task, step),)

    def construct_layer_wise_merged_model(self, modelpool):
        self.module = super().construct_layer_wise_merged_model(modelpool)
        names = [name for name, _ in self.module.task_vectors[0].named_parameters()]
        self.turns.about = {"tensors": names, "torch": torch.__version__, "threads": torch.get_num_threads()}
        return self.module

    def test_time_adaptation(self, module):
        module = super().test_time_adaptation(module)
        self.turns.step_ended(self.module.merge_weight)
        return module


class Heads:
    """Of each task; a bias is no part of FusionBench's heads and is added to its logits."""

    def __init__(self, file, tasks):
        self.weights, self.scales, self.biases = (
            {task: file.get_tensor(f"head/{task}/{part}") for task in tasks} for part in ("weight", "scale", "bias")
        )


class Given:
    """The images that our side wrote: uint8, scaled and normalised here, which FusionBench leaves to CLIPProcessor."""

    def __init__(self, file, tasks):
        self.pixels = {task: file.get_tensor(f"pixels/{task}") for task in tasks}
        self.labels = {task: file.get_tensor(f"labels/{task}").long() for task in tasks}
        self.indices = {task: file.get_tensor(f"indices/{task}").long() for task in tasks}
        self.factor, self.mean, self.std = (file.get_tensor(name) for name in ("rescale_factor", "mean", "std"))

    def normalised(self, pixels):
        return ((pixels.float() * self.factor - self.mean) / self.std).permute(0, 3, 1, 2).contiguous()

    def batch(self, task, step):
        return self.normalised(self.pixels[task][self.indices[task][step]])


def base_projection(folder):
    """The base's visual projection, frozen, as FusionBench takes it from the pretrained CLIP model."""
    model = transformers.CLIPVisionModelWithProjection.from_pretrained(folder, dtype="float32")
    return model.visual_projection.requires_grad_(False)


def model_config(folder):
    """A model of the pool in float32, whatever it is stored in; newer versions of transformers keep the stored dtype."""
    return {
        "_target_": "transformers.CLIPVisionModel.from_pretrained",
        "pretrained_model_name_or_path": folder,
        "dtype": "float32",
    }


@torch.no_grad()
def accuracies(algorithm, model, tasks, batch_size):
    """Percent right per task, by FusionBench's compute_logits with the merged model."""
    result = {}
    for task in tasks:
        labels, right = algorithm.given.labels[task], 0
        for pixels, own in zip(algorithm.given.pixels[task].split(batch_size), labels.split(batch_size)):
            logits = algorithm.compute_logits(model, algorithm.given.normalised(pixels), task)
            right += (logits.argmax(-1) == own).sum().item()
        result[task] = 100 * right / len(labels)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", required=True, help="images, indices and heads, written by our side")
    parser.add_argument("--models", required=True, help="checkpoint directories by name as JSON, _pretrained_ first")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.set_verbosity_error()
    models = json.loads(options.models)
    tasks = [name for name in models if name != "_pretrained_"]
    # config/method/adamerging/clip.yaml, with our batch size and number of steps.
    config = OmegaConf.create(
        {
            "name": "clip_layer_wise_adamerging",
            "weights": None,
            "optimizer": "adam",
            "lr": 1e-3,
            "init_values": 0.3,
            "clamp_weights": False,
            "tie_weights": True,
            "strict": False,
            "batch_size": options.batch,
            "max_steps": options.steps,
        }
    )
    next_request()  # open
    turns = Turns()
    with safe_open(options.inputs, "pt") as file, tempfile.TemporaryDirectory() as logs:
        algorithm = GivenBatches(
            config, Given(file, tasks), Heads(file, tasks), base_projection(models["_pretrained_"]), turns
        )
        algorithm.fabric = lightning.Fabric(accelerator="cpu", devices=1, loggers=TensorBoardLogger(logs))
        model = algorithm.run(CLIPVisionModelPool(models={name: model_config(folder) for name, folder in models.items()}))
        turns.report()
        if next_request()["kind"] == "evaluate":
            answer({"accuracies": accuracies(algorithm, model, tasks, batch_size=128)})


if __name__ == "__main__":
    main()

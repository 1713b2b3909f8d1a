"""PyTorch's side of `npm run bench -- step`: the strongest plain version of one layer-wise AdaMerging step.

Strongest: one merge, one forward over all tasks' images, fused library calls (F.linear, F.layer_norm,
scaled_dot_product_attention), autograd, tensors mapped from the same files that our side maps, images normalised
beforehand, and the thread count that is fastest here. Of texts: the rows of the table of words are gathered from base and task
vectors and merged, not the table; masks are made beforehand; with `--compile` the forward and backward pass of the encoder
is also tried with torch.compile, and the faster of the two is kept. `--style per-task` merges and goes forward once for every task, as the
official code does. Values are checked elsewhere (test/conformance); the losses of both sides are compared by the benchmark.

Answers JSON lines on stdin with JSON lines on stdout: open, step, evaluate, gemm. Needs torch, numpy and safetensors.
"""

import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F
from safetensors import safe_open

WORDS = "embeddings.word_embeddings.weight"
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def layers(p, shape):
    """LayerNorm and linear layers by the names of their parameters, and [B,T,D] cut into heads [B,N,T,D/N]."""
    width, heads = shape["hiddenSize"], shape["heads"]

    def norm(x, name):
        return F.layer_norm(x, (width,), p[f"{name}.weight"], p[f"{name}.bias"], shape["layerNormEpsilon"])

    def linear(x, name):
        return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def split(x):
        return x.view(x.shape[0], -1, heads, width // heads).transpose(1, 2)

    return norm, linear, split


def features(p, shape, images):
    """Normalised images [B,3,H,W] -> L2-normalised features [B,E], as CLIPVisionModelWithProjection."""
    batch, width = images.shape[0], shape["hiddenSize"]
    norm, linear, split = layers(p, shape)

    embeddings = "vision_model.embeddings"
    x = F.conv2d(images, p[f"{embeddings}.patch_embedding.weight"], stride=shape["patchSize"])
    x = x.flatten(2).transpose(1, 2)
    token = p[f"{embeddings}.class_embedding"].expand(batch, 1, width)
    x = torch.cat([token, x], 1) + p[f"{embeddings}.position_embedding.weight"]
    x = norm(x, "vision_model.pre_layrnorm")
    for index in range(shape["layers"]):
        layer = f"vision_model.encoder.layers.{index}"
        a = norm(x, f"{layer}.layer_norm1")
        q, k, v = (split(linear(a, f"{layer}.self_attn.{part}_proj")) for part in "qkv")
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, -1, width)
        x = x + linear(mixed, f"{layer}.self_attn.out_proj")
        h = linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
        x = x + linear(h * torch.sigmoid(1.702 * h), f"{layer}.mlp.fc2")
    e = F.linear(norm(x[:, 0], "vision_model.post_layernorm"), p["visual_projection.weight"])
    return e / e.norm(dim=-1, keepdim=True)


def text_features(p, shape, texts):
    """Words [B,T,D] in place of their table, masks [B,T] and [B,1,1,T] (added to scores) -> unit means [B,E], as BertModel."""
    mask, unseen = texts
    batch, width = mask.shape[0], shape["hiddenSize"]
    norm, linear, split = layers(p, shape)

    positions = p["embeddings.position_embeddings.weight"][: mask.shape[1]]
    x = p[WORDS] + positions + p["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    for index in range(shape["layers"]):
        layer = f"encoder.layer.{index}"
        q, k, v = (split(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=unseen).transpose(1, 2).reshape(batch, -1, width)
        x = norm(x + linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        h = F.gelu(linear(x, f"{layer}.intermediate.dense"))
        x = norm(x + linear(h, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    e = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    return e / e.norm(dim=-1, keepdim=True)


def entropy(logits):
    log_p = F.log_softmax(logits, -1)
    return -(log_p.exp() * log_p).sum(-1).mean()


def timed(work, count, device):
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) * 1e3)
    return times


class Peer:
    def __init__(self, options):
        self.options, self.shape = options, json.loads(options.shape)
        self.device = options.device

    def open(self, _):
        with safe_open(self.options.bundle, "pt") as file:
            get = lambda name: file.get_tensor(name).to(self.device)  # noqa: E731
            names = json.loads(file.metadata()["tensors"])
            self.tasks = json.loads(file.metadata()["tasks"])
            self.base = {name: get(f"base/{name}") for name in names}
            self.tau = {name: get(f"task_vectors/{name}") for name in names}
        with safe_open(self.options.inputs, "pt") as file:
            self.heads = [file.get_tensor(f"head/{task}").to(self.device) for task in self.tasks]
            self.open_texts(file) if self.shape["kind"] == "text" else self.open_images(file)
        self.features = text_features if self.shape["kind"] == "text" else features
        self.coefficients = torch.full((len(names), len(self.tasks)), 0.3, device=self.device, requires_grad=True)
        self.adam = torch.optim.Adam([self.coefficients], lr=1e-3)
        first = self.train_step()
        seconds = time.perf_counter() - STARTED
        chosen = {**self.choose_threads(), **self.choose_compiled()}
        return {"torch": torch.__version__, "loss": first, "secondsToFirstStep": seconds, **chosen}

    def open_images(self, file):
        pixels = file.get_tensor("images").float().div(255).to(self.device)
        mean, std = (torch.tensor(x, device=self.device) for x in (MEAN, STD))
        self.examples = ((pixels - mean) / std).permute(0, 3, 1, 2).contiguous()
        self.numbers = None

    def open_texts(self, file):
        if self.options.style != "fused":
            raise ValueError("--style per-task is for images")
        self.numbers = file.get_tensor("input_ids").long().to(self.device)
        mask = file.get_tensor("attention_mask").float().to(self.device)
        self.examples = (mask, (mask - 1)[:, None, None, :] * 1e9)

    def choose_compiled(self):
        """Whether torch.compile makes the encoder faster, by the best of a few steps each, after it has compiled."""
        if not self.options.compile or self.shape["kind"] != "text":
            return {"compiled": False}
        plain = self.features
        best_ms = {False: min(timed(self.train_step, 6, self.device))}
        self.features = torch.compile(plain)
        self.train_step()
        best_ms[True] = min(timed(self.train_step, 6, self.device))
        compiled = best_ms[True] < best_ms[False]
        if not compiled:
            self.features = plain
        return {"compiled": compiled, "triedMs": {"eager": best_ms[False], "compiled": best_ms[True]}}

    def choose_threads(self):
        """The fastest of one thread per core and of fewer, by the best of a few steps each, of one when steps are long."""
        if self.device != "cpu":
            return {}
        most = self.options.threads
        best_ms = {}
        for threads in sorted({1, max(1, most // 2), most}, reverse=True):
            torch.set_num_threads(threads)
            first = timed(self.train_step, 1, self.device)
            best_ms[threads] = min(first + timed(self.train_step, 0 if first[0] > 2000 else 4, self.device))
        best = min(best_ms, key=best_ms.get)
        torch.set_num_threads(best)
        return {"threads": best}

    def merged(self):
        weights = {}
        for row, (name, base) in enumerate(self.base.items()):
            tau = self.tau[name]
            if name == WORDS:
                base, tau = F.embedding(self.numbers, base), tau.index_select(1, self.numbers.flatten())
            flat = torch.addmv(base.reshape(-1), tau.reshape(len(self.tasks), -1).T, self.coefficients[row])
            weights[name] = flat.view(base.shape)
        return weights

    def train_step(self):
        self.adam.zero_grad()
        if self.options.style == "fused":
            together = self.features(self.merged(), self.shape, self.examples)
            all_features = together.split(len(together) // len(self.tasks))
        else:
            batches = self.examples.split(len(self.examples) // len(self.tasks))
            all_features = [self.features(self.merged(), self.shape, batch) for batch in batches]
        loss = sum(entropy(100 * f @ head.T) for f, head in zip(all_features, self.heads))
        loss.backward()
        self.adam.step()
        return loss.item()  # waits for the device

    @torch.no_grad()
    def forward(self):
        base = self.base if self.numbers is None else {**self.base, WORDS: F.embedding(self.numbers, self.base[WORDS])}
        embedded = self.features(base, self.shape, self.examples)
        return [100 * embedded @ head.T for head in self.heads]

    def step(self, request):
        return {"ms": timed(self.train_step, request["count"], self.device)}

    def evaluate(self, request):
        return {"ms": timed(self.forward, request["count"], self.device)}

    def gemm(self, request):
        a = torch.rand(request["rows"], request["inner"], device=self.device)
        b = torch.rand(request["inner"], request["columns"], device=self.device)
        return {"ms": timed(lambda: a @ b, request["count"] + 1, self.device)[1:]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", required=True, help="the tower's dimensions as JSON")
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--style", choices=("fused", "per-task"), default="fused")
    parser.add_argument("--compile", action="store_true", help="try torch.compile")
    parser.add_argument("--threads", type=int, default=2, help="the most that is tried")
    parser.add_argument("--device", default="cpu")
    peer = Peer(parser.parse_args())
    torch.set_num_threads(peer.options.threads)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peer, request["kind"])(request)
        except Exception as error:  # told to the benchmark, which stops
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


STARTED = time.perf_counter()
if __name__ == "__main__":
    main()

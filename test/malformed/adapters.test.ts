/** LoRA adapters that are of another kind, incomplete or of another base: each is refused by what it is. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { type WritableTensor, writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { CheckpointError } from "../../src/errors.js";
import { openBase, openExpert } from "../../src/model/open-models.js";

const CONFORMANCE = join(import.meta.dirname, "..", "conformance");
const SOUND = join(CONFORMANCE, "adapters", "plain");
let folder = "";
let base: Checkpoint;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adapters-"));
  base = await openBase(join(CONFORMANCE, "tower-quick-gelu"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function copied(): Promise<string> {
  const path = join(folder, "adapter");
  await rm(path, { recursive: true, force: true });
  await cp(SOUND, path, { recursive: true });
  await rm(join(path, "merged.safetensors"));
  return path;
}

async function expectRefusal(path: string, message: RegExp): Promise<void> {
  const error: unknown = await openExpert(path, base).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CheckpointError);
  expect(String(error)).toMatch(message);
  expect(String(error)).toContain(path);
}

describe("settings", () => {
  it.each<[string, object, RegExp]>([
    ["DoRA", { use_dora: true }, /expected plain LoRA, found use_dora \(DoRA\)\. Merge it into its base where peft/],
    ["QALoRA", { use_qalora: true }, /found use_qalora \(QALoRA\)/],
    ["a bias", { lora_bias: true }, /found lora_bias \(LoRA with a bias\)/],
    ["activated LoRA", { alora_invocation_tokens: [1] }, /found alora_invocation_tokens \(activated LoRA\)/],
    ["replicated layers", { layer_replication: [[0, 1]] }, /found layer_replication/],
    ["a variant to come", { use_zora: true }, /found use_zora \(a variant of a later version\)/],
    ["a setting that is not known", { mystery: 2 }, /found mystery \(a setting that is not known here\)/],
    ["layers of Megatron", { megatron_config: { a: 1 } }, /found megatron_config \(layers of Megatron\)/],
    ["CorDA", { corda_config: { corda_method: "ipm" } }, /found corda_config \(CorDA, which changes the base\)/],
    ["trained tokens", { trainable_token_indices: [3] }, /found trainable_token_indices \(trained tokens\)/],
    ["parameters", { target_parameters: ["experts.down_proj"] }, /found target_parameters \(LoRA on parameters\)/],
    ["PiSSA", { init_lora_weights: "pissa_niter_4" }, /init_lora_weights "pissa_niter_4", which changes the base/],
    ["another method", { peft_type: "IA3" }, /expected a LoRA adapter \(peft_type LORA\), found "IA3"/],
    ["a prompt", { peft_type: "PREFIX_TUNING" }, /found "PREFIX_TUNING"/],
    ["a rank of 0", { r: 0 }, /not the config of a LoRA adapter: r: /],
    ["an alpha that is text", { lora_alpha: "16" }, /lora_alpha: .*expected number, received string/],
    [
      "a pattern that never ends",
      { alpha_pattern: { "(a+)+$": 1 } },
      /expected names of modules, .* found "\(a\+\)\+\$"/,
    ],
  ])("%s", async (_, change, message) => {
    const path = await copied();
    const file = join(path, "adapter_config.json");
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), ...change }));
    await expectRefusal(path, message);
  });

  it("that change nothing, or say nothing, are passed over", async () => {
    const path = await copied();
    const file = join(path, "adapter_config.json");
    const settings = {
      ...{ lora_dropout: 0.1, exclude_modules: ["lm_head"], layers_to_transform: [0, 1], runtime_config: { a: false } },
      ...{
        use_zora: false,
        mystery: null,
        other: {},
        list: [],
        text: "",
        loftq_config: { bits: 4 },
        fan_in_fan_out: true,
      },
    };
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), ...settings }));
    const [found, wanted] = [await openExpert(path, base), await openExpert(SOUND, base)];
    // peft goes by the layer's class, whatever the config says of the direction of linear layers.
    for (const name of wanted.tensors.keys())
      expect(await found.readFloat32(name), name).toEqual(await wanted.readFloat32(name));
  });

  it("no JSON", async () => {
    const path = await copied();
    await writeFile(join(path, "adapter_config.json"), "{");
    await expectRefusal(path, /adapter_config\.json: expected JSON, found a mistake/);
  });
});

describe("files", () => {
  it("without its config or its tensors it is incomplete", async () => {
    for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
      const path = await copied();
      await rm(join(path, name));
      await expectRefusal(
        path,
        /expected adapter_config\.json and one of adapter_model\.safetensors, .* Get the complete adapter/,
      );
    }
  });

  it("two adapters in one folder", async () => {
    const path = await copied();
    await cp(join(path, "adapter_model.safetensors"), join(path, "linearized_adapter_model.safetensors"));
    await expectRefusal(path, /found adapter_config\.json, adapter_model\.safetensors, linearized_adapter_model/);
  });

  it("as a base, and where no base is known", async () => {
    await expect(openBase(SOUND)).rejects.toThrow(/expected a full checkpoint, found a LoRA adapter/);
  });
});

describe("tensors", () => {
  const Q = "base_model.model.vision_model.encoder.layers.0.self_attn.q_proj";
  const filled = (name: string, shape: readonly number[], dtype = "F32"): WritableTensor => ({
    ...{ name, shape, dtype },
    data:
      dtype === "F32"
        ? new Float32Array(shape.reduce((a, b) => a * b, 1))
        : new Uint8Array(8 * shape.reduce((a, b) => a * b, 1)),
  });
  it.each<[string, readonly WritableTensor[], RegExp]>([
    [
      "one factor only",
      [filled(`${Q}.lora_A.weight`, [4, 32])],
      /expected both factors of "vision_model.*q_proj", lora_A and lora_B, found others/,
    ],
    [
      "ranks that differ",
      [filled(`${Q}.lora_A.weight`, [4, 32]), filled(`${Q}.lora_B.weight`, [32, 5])],
      /found lora_A \[4, 32\] and lora_B \[32, 5\]/,
    ],
    [
      "a layer of another size",
      [filled(`${Q}.lora_A.weight`, [4, 48]), filled(`${Q}.lora_B.weight`, [48, 4])],
      /expected factors of ".*q_proj.weight" \[32, 32\] of the base, found lora_A \[4, 48\]/,
    ],
    [
      "a layer that the base lacks",
      [
        filled(`${Q.replace("layers.0", "layers.9")}.lora_A.weight`, [4, 32]),
        filled(`${Q.replace("layers.0", "layers.9")}.lora_B.weight`, [32, 4]),
      ],
      /expected a tensor "vision_model\.encoder\.layers\.9\..*" in the base/,
    ],
    [
      "a rank of 0",
      [filled(`${Q}.lora_A.weight`, [0, 32]), filled(`${Q}.lora_B.weight`, [32, 0])],
      /found lora_A \[0, 32\]/,
    ],
    [
      "integers",
      [filled(`${Q}.lora_A.weight`, [4, 32], "I64"), filled(`${Q}.lora_B.weight`, [32, 4])],
      /expected dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, found I64/,
    ],
    [
      "a magnitude of DoRA",
      [filled(`${Q}.lora_magnitude_vector`, [32])],
      /expected factors lora_A and lora_B of layers or embeddings, found others/,
    ],
    [
      "an embedding",
      [filled(`${Q}.lora_embedding_A`, [4, 32])],
      /expected both factors of "vision_model.*q_proj", lora_A and lora_B, found others/,
    ],
    [
      "half of the initial factors",
      [
        filled(`${Q}.model.lora_A.default.weight`, [4, 32]),
        filled(`${Q}.model.lora_B.default.weight`, [32, 4]),
        filled(`${Q}.params0_values.2`, [4, 32]),
      ],
      /and both of them at the beginning of training/,
    ],
    [
      "initial factors of other shapes",
      [
        filled(`${Q}.model.lora_A.default.weight`, [4, 32]),
        filled(`${Q}.model.lora_B.default.weight`, [32, 4]),
        filled(`${Q}.params0_values.2`, [32, 4]),
        filled(`${Q}.params0_values.3`, [4, 32]),
      ],
      /expected params0_values of the shapes of lora_A and lora_B/,
    ],
    [
      "the text tower's only",
      [
        filled("base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight", [4, 32]),
        filled("base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight", [32, 4]),
      ],
      /expected factors of the base's layers, found none among 2 tensors/,
    ],
    [
      "one layer under two names",
      [Q, Q.replace("vision_model.", "")].flatMap((layer) => [
        filled(`${layer}.lora_A.weight`, [4, 32]),
        filled(`${layer}.lora_B.weight`, [32, 4]),
      ]),
      /expected one change of "vision_model.*q_proj.weight", found two under different names/,
    ],
    [
      "factors and the whole tensor",
      [filled(`${Q}.lora_A.weight`, [4, 32]), filled(`${Q}.lora_B.weight`, [32, 4]), filled(`${Q}.weight`, [32, 32])],
      /expected factors or a tensor in its place, found both/,
    ],
  ])("%s", async (_, tensors, message) => {
    const path = await copied();
    await writeSafetensors(join(path, "adapter_model.safetensors"), tensors);
    await expectRefusal(path, message);
  });

  it("those of a text tower are left out beside others", async () => {
    const path = await copied();
    const text = "base_model.model.text_model.encoder.layers.0.self_attn.q_proj";
    await writeSafetensors(join(path, "adapter_model.safetensors"), [
      ...[filled(`${Q}.lora_A.weight`, [4, 32]), filled(`${Q}.lora_B.weight`, [32, 4])],
      ...[filled(`${text}.lora_A.weight`, [4, 8]), filled(`${text}.lora_B.weight`, [8, 4])],
    ]);
    const found = await openExpert(path, base);
    expect([...found.tensors.keys()]).toEqual(["vision_model.encoder.layers.0.self_attn.q_proj.weight"]);
  });
});

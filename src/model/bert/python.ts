/** Text features by sentence-transformers or transformers, for model cards. */
import type { Pooling, PythonFeatures, PythonRequest } from "../family.js";

/** `hasPooler`: its class has one, which would be made anew where the files have none. */
export function textPython(
  { features, longest, isSentenceEncoder }: PythonRequest,
  hasPooler: boolean,
): PythonFeatures {
  if (isSentenceEncoder)
    return {
      library: "sentence-transformers",
      imports: ["from sentence_transformers import SentenceTransformer"],
      lines: [
        'model = SentenceTransformer(folder, device="cpu")',
        ...(longest === undefined ? [] : [`model.max_seq_length = ${longest}`]),
        "features = model.encode(texts, convert_to_tensor=True)",
      ],
    };
  const without = hasPooler && features.pooling !== "pooler" ? ", add_pooling_layer=False" : "";
  const limit = longest === undefined ? "" : `, max_length=${longest}`;
  return {
    library: "transformers",
    imports: ["import torch", "from transformers import AutoModel, AutoTokenizer"],
    lines: [
      `tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder${without})`,
      `tokens = tokenizer(texts, padding=True, truncation=True${limit}, return_tensors="pt")`,
      "with torch.inference_mode():",
      "    out = model(**tokens)",
      ...pooled(features.pooling),
      ...(features.normalized ? ["features = torch.nn.functional.normalize(features, dim=-1)"] : []),
    ],
  };
}

function pooled(pooling: Pooling): readonly string[] {
  if (pooling === "pooler") return ["features = out.pooler_output"];
  if (pooling === "cls") return ["features = out.last_hidden_state[:, 0]"];
  return [
    'mask = tokens["attention_mask"].unsqueeze(-1)',
    "features = (out.last_hidden_state * mask).sum(1) / mask.sum(1)",
  ];
}

/**
 * Writes labelled texts in the layout of the Hugging Face hub: data/<split>-00000-of-00001.parquet with the columns text = string and
 * label = int64, and the feature types as JSON under the key "huggingface", which is where Python's `datasets` looks for class
 * names.
 */
import { parquetWriteBuffer } from "hyparquet-writer";
import type { LabelledText } from "./labelled-text.js";

export function hubTextParquet(texts: readonly LabelledText[], classes: readonly string[]): Uint8Array {
  const features = {
    text: { dtype: "string", _type: "Value" },
    label: { names: classes, _type: "ClassLabel" },
  };
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "text", data: texts.map(({ text }) => text) },
        { name: "label", data: BigInt64Array.from(texts, ({ label }) => BigInt(label)) },
      ],
      schema: [
        { name: "root", num_children: 2 },
        { name: "text", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
        { name: "label", type: "INT64", repetition_type: "OPTIONAL" },
      ],
      kvMetadata: [{ key: "huggingface", value: JSON.stringify({ info: { features } }) }],
    }),
  );
}

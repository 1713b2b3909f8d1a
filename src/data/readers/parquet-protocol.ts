/** What is asked of the thread that decodes parquet files, and what it answers. */
import type { FileMetaData } from "hyparquet";

export type ParquetRequest =
  | { readonly kind: "metadata"; readonly path: string }
  | {
      readonly kind: "column";
      readonly path: string;
      readonly column: string;
      readonly rowStart: number;
      readonly rowEnd: number;
      /** Texts as the bytes that are stored: decoding would hide what is no UTF-8. */
      readonly asBytes?: boolean;
    };

export type ParquetAnswer = FileMetaData | readonly unknown[];

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
    };

export type ParquetAnswer = FileMetaData | readonly unknown[];

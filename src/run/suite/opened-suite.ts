/** A suite whose base is open: what its examples are read with, and its heads made. */
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import type { ChosenCorruption } from "../../data/corruption.js";
import type { Encoder } from "../../data/encoder.js";
import type { Suite } from "../../data/suite.js";
import type { Model } from "../../model/family.js";

export interface OpenedSuite {
  readonly suite: Suite;
  readonly base: Checkpoint;
  readonly model: Model;
  /** Of the examples that the model takes. */
  readonly encoder: Encoder;
  /** Of all examples that are read. */
  readonly corruption: ChosenCorruption | undefined;
  /** What the cache of encoded examples may take on the disk. */
  readonly cacheBytes: number;
  /** Where the hub's data sets come from; undefined: the suite's data sets are directories. */
  readonly hub: Hub | undefined;
  /** Is told what data sets passed over or assumed. */
  readonly notice: (text: string) => void;
}

/** Where the stages of a fit begin, as vertical lines of a figure over its steps. */
import type { RunConfig } from "../../config/schema.js";
import { stageConfigs } from "../../config/stages.js";

interface StageLine {
  /** The last step of the stage before. */
  readonly step: number;
  readonly stage: string;
}

/** Of every stage but the first; none in a fit without stages. */
export function stageLines(config: RunConfig): readonly StageLine[] {
  let step = 0;
  return stageConfigs(config).flatMap((stage, index) => {
    const line = { step, stage: `stage ${index + 1}: ${stage.parametrisation}` };
    step += stage.steps;
    return index === 0 ? [] : [line];
  });
}

/** The lines as layers of a Vega-Lite figure, and the words about them for its caption; nothing in a fit without stages. */
export function stageLayers(config: RunConfig) {
  const values = [...stageLines(config)];
  const named = values.map(({ step, stage }) => `${stage} from step ${step + 1}`);
  const layer = {
    data: { values },
    mark: { type: "rule" as const, color: "currentColor", opacity: 0.5, strokeDash: [3, 3] },
    encoding: { x: { field: "step", type: "quantitative" as const } },
  };
  const caption = values.length === 0 ? "" : ` Vertical lines: ${named.join(", ")}.`;
  return { layers: values.length === 0 ? [] : [layer], caption };
}
